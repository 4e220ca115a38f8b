import { startFleet } from "./fleet.js";
import { difference, figure, table, target, thousands } from "./report.js";
import { slope } from "./statistics.js";

const LABELS = { "http-bare": "node:http, bare", "http-meterbook": "node:http + meterbook" };
const MIB = 2 ** 20;

/** The heap over a million requests, each measured after a forced collection; and the process's size. */
export async function measureMemory({ folder, memoryRequests: requests }) {
  const fleet = await startFleet(Object.keys(LABELS), folder);
  const steps = 20;
  const subjects = await Promise.all(
    [...fleet.apps].map(async ([name, app]) => ({ name, ...(await grow(app, requests / steps, steps)) })),
  );
  await fleet.close();
  const rows = subjects.map(({ name, heap, start, end }) => [
    LABELS[name],
    figure(start.heapUsed / MIB, 2),
    figure(end.heapUsed / MIB, 2),
    difference(slope(heap), 3),
    figure(start.rss / MIB, 0),
    figure(end.rss / MIB, 0),
  ]);
  const [bare, ours] = subjects;
  const growth = slope(ours.heap);
  const over = (ours.end.rss - bare.end.rss) / MIB;
  return {
    title: "Memory",
    about: `${thousands(requests)} requests in process with the worker draining, heap of the request thread after forced collections at ${steps} points; the slope leaves the first fifth out (warm-up).`,
    tables: [
      table(["app", "heap MB at first", "heap MB at last", "bytes/request", "RSS MB at first", "RSS MB at last"], rows),
    ],
    targets: [
      target(
        "heap over 1,000,000 requests",
        "flat: below 1 byte/request",
        `${difference(growth, 3)} bytes/request`,
        growth < 1,
      ),
      target(
        "RSS over the bare app (node:http) at the end",
        "≤ 30 MB",
        `${figure(over)} MB (${difference((ours.start.rss - bare.start.rss) / MIB)} MB before the first request)`,
        over <= 30,
      ),
    ],
  };
}

async function grow(app, step, steps) {
  const start = await app.ask("memory");
  const heap = [];
  let end = start;
  for (let at = 1; at <= steps; at++) {
    await app.ask("serve", { requests: step });
    end = await app.ask("memory");
    if (at > steps / 5) heap.push([at * step, end.heapUsed]);
  }
  return { start, end, heap };
}
