import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { figure, table, target, thousands } from "./report.js";

const MAIN = new URL("../../dist/cli/main.js", import.meta.url);
const CONNECTIONS = 8;
const SINGLE_CONNECTIONS = 64;

const CONFIG = `version: 1
storage: { path: ./meter.db }
meters:
  runs: { eventType: agent_run, aggregate: count, groupBy: { agent: data.agent_name } }
  tokens: { eventType: agent_run, aggregate: sum, value: data.tokens }
`;

/** One line of the table. */
function row(what, result, count) {
  return [
    what,
    thousands((count * 1e3) / result.wallMs),
    figure(result.p50, 1),
    figure(result.p99, 1),
    figure((result.cpuMs * 1e3) / count, 1),
    String(result.refused),
  ];
}

/** `meterbook serve` over loopback, every answer after its commit with `synchronous = FULL`; the load is another process. */
export async function measureServe({ folder, servedEvents: events, servedPosts: posts }) {
  writeFileSync(join(folder, "meterbook.yaml"), CONFIG);
  const service = await start(folder);
  const load = fork(new URL("./serve-load.js", import.meta.url));
  await once(load, "message");
  const run = async (order) => {
    const cpu = cpuMsOf(service.child.pid);
    load.send({ port: service.port, ...order });
    const [answer] = await once(load, "message");
    return { ...answer, cpuMs: cpuMsOf(service.child.pid) - cpu };
  };
  await run({ connections: CONNECTIONS, batch: 100, calls: 100, name: "warm" });
  const batches = await run({ connections: CONNECTIONS, batch: 100, calls: events / 100, name: "batch" });
  await run({ connections: SINGLE_CONNECTIONS, batch: 1, calls: 1_000, name: "warm-single" });
  const singles = await run({ connections: SINGLE_CONNECTIONS, batch: 1, calls: posts, name: "single" });
  const memoryMb = peakMbOf(service.child.pid);
  load.kill();
  service.child.kill("SIGTERM");
  await once(service.child, "close");
  const rate = (events * 1e3) / batches.wallMs;
  const postRate = (posts * 1e3) / singles.wallMs;
  return {
    title: "Serve: events over HTTP",
    about: `${thousands(events)} events in calls of 100 over ${CONNECTIONS} connections, then ${thousands(posts)} calls of one event over ${SINGLE_CONNECTIONS}; two meters; every answer after the commit, synchronous = FULL, identities checked. The load is a process of its own and has its share of the same cores.`,
    tables: [
      table(
        ["calls", "events / s", "p50 ms", "p99 ms", "CPU µs/event of the service", "not 2xx"],
        [row("of 100 events", batches, events), row("of one event", singles, posts)],
      ),
    ],
    targets: [
      target("ingest in calls of 100, events per second", "≥ 40,000", thousands(rate), rate >= 40_000),
      target("the same, p99 of the answer", "< 50 ms", `${figure(batches.p99, 1)} ms`, batches.p99 < 50),
      target("calls of one event, per second", "≥ 3,000", thousands(postRate), postRate >= 3_000),
      target("peak memory of the service", "< 300 MB", `${figure(memoryMb, 0)} MB`, memoryMb < 300),
    ],
  };
}

async function start(folder) {
  const child = spawn(process.execPath, [MAIN.pathname, "serve", "--port", "0", "--log-level", "info"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  // Read to the end: a service whose log nobody takes would be another service.
  const port = await new Promise((resolve, reject) => {
    child.stdout.on("data", (chunk) => {
      if (text.length < 10_000) text += chunk;
      const found = /Listening at http:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
      if (found !== undefined) resolve(Number(found));
    });
    child.once("close", () => reject(new Error(`the service did not start: ${text}`)));
  });
  return { child, port };
}

/** CPU time of a process with all its threads, from Linux; 0 elsewhere. */
function cpuMsOf(pid) {
  try {
    const parts = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
    return (Number(parts[11]) + Number(parts[12])) * 10;
  } catch {
    return 0;
  }
}

function peakMbOf(pid) {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
