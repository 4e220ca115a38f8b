import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, it, onTestFinished } from "vitest";

import { readConfig } from "../../src/config/index.ts";
import { listFinalRecords } from "../../src/engine/periods/final-records.ts";
import { provision } from "../../src/engine/periods/provision.ts";
import { takeRecords } from "../../src/engine/periods/records.ts";
import { openNode } from "../../src/runtime/node.ts";
import { manualClock } from "../../src/testing/manual-clock.ts";

const dist = fileURLToPath(new URL("../../dist", import.meta.url));
const program = fileURLToPath(new URL("closing-program.js", import.meta.url));
const MADE = Date.parse("2026-03-20T12:00:00Z");
const OVER = Date.parse("2026-03-31T12:00:00Z");
const USERS = 24;
const DAYS = 11;
const ROUNDS = 12;
/** More than a page: a kill can strike in the middle of a line. */
const NOTE = "n".repeat(10_000);

const YAML = `version: 1
storage: { path: ./meter.db }
meters: {}
meterTypes:
  Calls: { category: calls, resetSchedule: { hour: "0", minute: "0" }, timezone: Europe/Berlin }
guides:
  calls:
    userId: data.user
    value: data.calls
    timestamp: data.at
    dedupeBy: data.id
    rules:
      all: { category: calls, carryLast: [data.id] }
records:
  lateness: 1m
  sinks:
    archive: { kind: file, path: ./records.ndjson }
`;

/** A node in a new folder with a meter for each user, which counted one record on each day. */
async function meteredFolder() {
  const folder = mkdtempSync(join(tmpdir(), "meterbook-closing-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const config = join(folder, "meterbook.yaml");
  writeFileSync(config, YAML);
  const reading = readConfig({ text: YAML, format: "yaml", file: null, env: {}, directory: folder });
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems));
  const { settings } = reading;
  const { metering } = settings;
  if (metering === undefined) throw new Error("expected guides");
  const clock = manualClock(MADE);
  const node = await openNode({ settings, clock, ownWriter: null, adoptFrom: null, onNotice: () => undefined });
  const { store } = node;
  onTestFinished(() => node.close());
  let last = 0;
  const desk = () => ({ store, now: clock.now(), newId: () => `id${(last += 1)}`, author: "test" });
  const users = Array.from({ length: USERS }, (_, at) => `user ${at}`);
  const buckets = users.map((userId) => ({ userId, meterType: "Calls", guide: "calls", customFields: { note: NOTE } }));
  await provision(desk(), { ...metering, buckets }, { dryRun: false });
  clock.set(OVER);
  const records = users.flatMap((user, number) =>
    Array.from({ length: DAYS }, (_, day) => ({
      id: `${number}-${day}`,
      user,
      calls: number + day,
      at: new Date(MADE + 3_600_000 + day * 86_400_000).toISOString(),
    })),
  );
  await node.reload();
  await node.counting((catalog) => takeRecords(desk(), catalog, { guide: "calls", records }));
  return { config, store, file: join(folder, "records.ndjson") };
}

function start(config: string, round: number): ChildProcess {
  // What one that was killed had taken is free after its minute.
  const begin = OVER + round * 10 * 60_000;
  return spawn(process.execPath, [program, dist, config, String(begin)], { stdio: ["ignore", "pipe", "inherit"] });
}

async function killedAfter(child: ChildProcess, afterMs: number): Promise<void> {
  const gone = once(child, "close");
  child.stdout?.once("data", () => setTimeout(() => child.kill("SIGKILL"), afterMs));
  await gone;
}

it("kill -9 of two processes at once while they close periods and write records: each record once in the books, whole in the file", async () => {
  expect(existsSync(`${dist}/runtime/node.js`), "run `npm run build` first").toBe(true);
  const { config, store, file } = await meteredFolder();
  for (let round = 0; round < ROUNDS; round += 1) {
    const [one, two] = [start(config, round), start(config, round)];
    await Promise.all([killedAfter(one, (round * 173) % 500), killedAfter(two, (round * 311) % 700)]);
  }
  const last = start(config, ROUNDS);
  last.stdout?.resume();
  expect(await once(last, "close")).toEqual([0, null]);

  const { records: told } = await listFinalRecords(store, { limit: 10_000 });
  expect(told).toHaveLength(USERS * DAYS);
  expect(new Set(told.map(({ meterId, periodStart }) => `${meterId} ${periodStart}`)).size).toBe(USERS * DAYS);
  expect(told.every(({ kind, records }) => kind === "final" && records === 1)).toBe(true);
  const total = told.reduce((sum, { value }) => sum + Number(value), 0);
  const counted = Array.from({ length: USERS }, (_, at) => at * DAYS + (DAYS * (DAYS - 1)) / 2);
  expect(total).toBe(counted.reduce((sum, each) => sum + each, 0));

  const lines = readFileSync(file, "utf8").split("\n");
  expect(lines.pop()).toBe("");
  const written = new Map(lines.map((line): [string, string] => [String(JSON.parse(line).id), line]));
  for (const { sinks, ...record } of told) {
    expect(sinks.map(({ state }) => state)).toEqual(["delivered"]);
    expect(written.get(record.id)).toBe(JSON.stringify(record));
  }
  expect(written.size).toBe(told.length);
}, 180_000);
