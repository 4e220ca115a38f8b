// Preloaded (`--import`) by the soaked app: collects garbage on demand, in the app's thread and in its worker, and tells what stays.
import { readdirSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { createContext, runInContext } from "node:vm";
import { isMainThread } from "node:worker_threads";

setFlagsFromString("--expose-gc");
/** @type {() => void} */
const collect = runInContext("gc", createContext());

function heapBytes() {
  // Twice: what the first round's finalisers let go of is gone after the second.
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

const channel = new BroadcastChannel("soak");

if (isMainThread) {
  channel.addEventListener("message", (event) => {
    process.send?.({
      kind: "measured",
      appHeapBytes: heapBytes(),
      workerHeapBytes: /** @type {MessageEvent} */ (event).data,
      rssBytes: process.memoryUsage().rss,
      files: readdirSync("/proc/self/fd").length,
      resources: process.getActiveResourcesInfo().length,
    });
  });
  process.on("message", (/** @type {{ measure?: boolean }} */ { measure }) => {
    if (measure === true) channel.postMessage("measure");
  });
} else channel.addEventListener("message", () => channel.postMessage(heapBytes()));
// Neither end keeps its thread alive; adding a listener makes it do so.
/** @type {{ unref?: () => void }} */ (/** @type {unknown} */ (channel)).unref?.();
