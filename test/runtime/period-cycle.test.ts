import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, it, onTestFinished } from "vitest";

import { readConfig, type Settings } from "../../src/config/index.ts";
import { provision } from "../../src/engine/periods/provision.ts";
import { takeRecords } from "../../src/engine/periods/records.ts";
import { openNode, type MeterNode } from "../../src/runtime/node.ts";
import { periodCycle } from "../../src/runtime/period-cycle.ts";
import { manualClock } from "../../src/testing/manual-clock.ts";

const YAML = `version: 1
storage: { path: ./meter.db }
meters: {}
meterTypes:
  Prints: { category: printing, resetSchedule: { hour: "0", minute: "0" }, timezone: Europe/Berlin }
guides:
  prints:
    userId: data.printer
    value: data.sheets
    timestamp: data.at
    dedupeBy: data.job
    rules:
      all: { category: printing }
customerMeters:
  - { userId: P-7, meterType: Prints, guide: prints }
records:
  lateness: 1m
  sinks:
    archive: { kind: file, path: ./records.ndjson }
`;

function settingsIn(directory: string): Settings {
  const reading = readConfig({ text: YAML, format: "yaml", file: null, env: {}, directory });
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems));
  return reading.settings;
}

it("Two processes over one database close each period once and write each record once, also after a standstill", async () => {
  const directory = mkdtempSync(join(tmpdir(), "meterbook-periods-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const settings = settingsIn(directory);
  const clock = manualClock(Date.parse("2026-03-27T12:00:00Z"));
  const open = async (): Promise<MeterNode> => {
    const node = await openNode({ settings, clock, ownWriter: null, adoptFrom: null, onNotice: () => undefined });
    onTestFinished(() => node.close());
    return node;
  };
  const [one, two] = [await open(), await open()];
  let last = 0;
  const desk = () => ({ store: one.store, now: clock.now(), newId: () => `id${(last += 1)}`, author: "test" });
  const { metering } = settings;
  if (metering === undefined) throw new Error("expected metering");
  await provision(desk(), metering, { dryRun: false });
  const take = async (...records: { job: number; at: string }[]) => {
    const call = { guide: "prints", records: records.map((record) => ({ printer: "P-7", sheets: 1, ...record })) };
    await one.reload();
    return one.counting((catalog) => takeRecords(desk(), catalog, call));
  };
  clock.set(Date.parse("2026-03-27T22:59:59Z"));
  await take({ job: 1, at: "2026-03-27T22:59:58Z" });
  // Both stood still over three midnights in Berlin, one of them an hour earlier: the clock went forward.
  clock.set(Date.parse("2026-03-29T22:01:00Z"));
  await take({ job: 2, at: "2026-03-27T23:00:00Z" }, { job: 3, at: "2026-03-29T21:59:59.999Z" });
  await Promise.all([one, two, one, two].map((node) => periodCycle(node, { clock })));
  // Who lost a race may have left a record to the other, which had begun before it.
  clock.advance(60_000);
  await periodCycle(two, { clock });
  const file = join(directory, "records.ndjson");
  expect(existsSync(file)).toBe(true);
  const records = readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))
    // Two processes hand over at once, so the lines of one round stand in any order.
    .toSorted((a, b) => (a.periodStart < b.periodStart ? -1 : 1));
  const told = records.map(({ periodStart, periodEnd, value }) => [periodStart, periodEnd, value]);
  expect(told).toEqual([
    ["2026-03-27T12:00:00.000Z", "2026-03-27T23:00:00.000Z", "1"],
    ["2026-03-27T23:00:00.000Z", "2026-03-28T23:00:00.000Z", "1"],
    ["2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z", "1"],
  ]);
  expect(new Set(records.map(({ id }) => id)).size).toBe(3);
});
