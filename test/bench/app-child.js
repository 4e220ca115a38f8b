// One variant in a process of its own: it serves, and tells what it used. Started by fleet.js.
import { once } from "node:events";
import { readFileSync } from "node:fs";

import { openFakeLoad } from "./fake-socket.js";
import { openVariant } from "./variants.js";

const [name, folder, collectorUrl] = process.argv.slice(2);
const variant = await openVariant(name, { folder, collectorUrl });
let load = null;

const CALLS = {
  listen: async () => {
    variant.server.listen(0, "127.0.0.1");
    await once(variant.server, "listening");
    return variant.server.address().port;
  },
  /** What was used so far, with all background work that belongs to it. */
  usage: async () => {
    await variant.settle();
    return usage();
  },
  /** Serves requests without a kernel; answers what they used. */
  serve: async ({ requests }) => {
    load ??= openFakeLoad(variant.server);
    await variant.settle();
    const before = await usage();
    await load.run(requests);
    await variant.settle();
    const after = await usage();
    return { allUs: after.allUs - before.allUs, mainUs: after.mainUs - before.mainUs };
  },
  memory: async () => {
    await variant.settle();
    for (let turn = 0; turn < 3; turn++) {
      globalThis.gc();
      await new Promise(setImmediate);
    }
    const { rss, heapUsed, external } = process.memoryUsage();
    return { rss, heapUsed, external };
  },
  close: async () => {
    await load?.close();
    variant.server.close();
    variant.server.closeAllConnections();
    await variant.close();
    setImmediate(() => process.disconnect());
    return null;
  },
};

process.on("message", (message) => void answer(message));
process.on("disconnect", () => process.exit());
process.send({ call: 0, answer: "ready" });

/** CPU time in µs: of all threads, and of the thread that serves requests where the kernel tells. */
async function usage() {
  // The kernel books a thread's time when it sleeps.
  await new Promise((resolve) => setTimeout(resolve, 2));
  const { user, system } = process.cpuUsage();
  return { allUs: user + system, mainUs: mainThreadUs() };
}

function mainThreadUs() {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "latin1").split(" ")[0]) / 1_000;
  } catch {
    return Number.NaN;
  }
}

async function answer({ call, kind, ...given }) {
  try {
    process.send({ call, answer: await CALLS[kind](given) });
  } catch (error) {
    process.send({ call, error: error.stack });
  }
}
