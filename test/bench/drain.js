import { cpSync, mkdirSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

import Database from "better-sqlite3";

import { loadConfig } from "../../dist/runtime/load-config.js";
import { openNode } from "../../dist/runtime/node.js";
import { systemClock } from "../../dist/runtime/system.js";
import { openFakeLoad } from "./fake-socket.js";
import { figure, table, target, thousands } from "./report.js";
import { CONFIG } from "./requests.js";
import { median } from "./statistics.js";
import { openJournalOnly, plainChat } from "./variants.js";

const SPAN_MS = 6 * 3_600_000;

/** Journal → SQLite: `synchronous = FULL`, duplicates refused, hourly usage kept up; and what an event takes on disk. */
export async function measureDrain({ folder, drainEvents: events, drainRounds: rounds }) {
  const source = join(folder, "source");
  mkdirSync(source);
  const journalBytes = await writeJournal(source, events);
  const runs = [];
  for (let round = 0; round < rounds; round++) {
    const own = join(folder, `round-${round}`);
    cpSync(source, own, { recursive: true });
    runs.push(await drainOnce(join(own, "meter.db"), events));
  }
  const rate = median(runs.map(({ cpuUs }) => (events * 1e6) / cpuUs));
  const wallRate = median(runs.map(({ wallMs }) => (events * 1e3) / wallMs));
  const bytes = median(runs.map((run) => run.bytes)) / events;
  const rows = runs.map((run, round) => [
    String(round + 1),
    thousands((events * 1e6) / run.cpuUs),
    thousands((events * 1e3) / run.wallMs),
    figure(run.cpuUs / events, 2),
    figure(run.bytes / events),
  ]);
  const parts = runs.at(-1)?.parts.map(({ name, bytes: size }) => [name, thousands(size), figure(size / events)]) ?? [];
  return {
    title: "Drain: journal to SQLite",
    about: `${thousands(events)} events of 200 companies over six hours, made by the middleware (${figure(journalBytes / events, 0)} bytes a journal line), drained by one thread; the file's size is taken after it was closed, with all its indexes.`,
    tables: [
      table(["run", "events / CPU s", "events / s (wall)", "CPU µs/event", "bytes/event"], rows),
      table(["table or index", "bytes", "bytes/event"], parts),
    ],
    targets: [
      target(
        "drain, events per second of one core",
        "≥ 60,000 (stretch 150,000)",
        `${thousands(rate)} (wall: ${thousands(wallRate)})`,
        rate >= 60_000,
      ),
      target("bytes on disk per event", "≤ 200", figure(bytes), bytes <= 200),
    ],
  };
}

/** Real requests through the real capture; only the clock is moved, so that usage falls into many windows. */
async function writeJournal(folder, events) {
  let made = 0;
  const start = Date.now() - SPAN_MS;
  const clock = { now: () => start + Math.floor((made++ * SPAN_MS) / (events * 2)) };
  const { middleware, settle, close, stats } = openJournalOnly(folder, clock);
  const server = createServer((request, response) => middleware(request, response, () => plainChat(request, response)));
  const load = openFakeLoad(server);
  for (let left = events; left > 0; left -= 10_000) {
    await load.run(Math.min(10_000, left));
    await settle();
  }
  await load.close();
  const { bytes, written } = stats();
  if (written !== events) throw new Error(`${written} of ${events} events were written`);
  await close();
  return bytes;
}

async function drainOnce(path, events) {
  const { settings } = loadConfig({ config: { ...CONFIG, storage: { path } }, directory: ".", env: {} });
  const node = await openNode({
    settings,
    clock: systemClock,
    ownWriter: null,
    adoptFrom: null,
    onNotice: ({ text }) => process.stderr.write(`${text}\n`),
  });
  globalThis.gc();
  const cpu = process.cpuUsage();
  const start = performance.now();
  const taken = await node.drainAll();
  const wallMs = performance.now() - start;
  const used = process.cpuUsage(cpu);
  const counts = await node.store.counts();
  await node.close();
  if (taken !== events || counts.events !== events)
    throw new Error(`${taken} of ${events} events were taken, ${counts.events} are stored`);
  return { wallMs, cpuUs: used.user + used.system, bytes: statSync(path).size, parts: partsOf(path) };
}

function partsOf(path) {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare("SELECT name, sum(pgsize) AS bytes FROM dbstat GROUP BY name ORDER BY bytes DESC LIMIT 6").all();
  } finally {
    db.close();
  }
}
