import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { parquetReadObjects } from "hyparquet";
import { describe, expect, it } from "vitest";

import type { UsageEvent } from "../../src/core/event.ts";
import { ingest } from "../../src/engine/ingest/ingest.ts";
import { openNode } from "../../src/runtime/node.ts";
import { readCsv } from "../../src/cli/csv.ts";
import { instant } from "../../src/cli/output.ts";
import { settingsIn } from "../runtime/served-threads.ts";
import { cli, records, workspace } from "./cli.ts";

const DAY = 86_400_000;
const START = Date.UTC(2026, 10, 1);
const env = { STRIPE_API_KEY: "sk_test_export" };
const YAML = `version: 1
storage: { path: ./meter.db }
meters:
  tokens:
    eventType: llm
    aggregate: sum
    value: data.tokens
    groupBy: { model: data.model }
`;

const EVENTS: readonly UsageEvent[] = [
  sent("1", START, { tokens: "0.1", model: "m" }),
  sent("2", START + 1, { tokens: "0.2", model: "m" }),
  sent("3", START + DAY, { tokens: "9007199254740993", model: "=cmd()" }),
  sent("4", START + 40 * DAY, { tokens: 5, model: 'ü,"x"\n' }),
];

function sent(id: string, time: number, data: UsageEvent["data"]): UsageEvent {
  const company = id === "4" ? "=HYPERLINK(1)" : "acme";
  return {
    source: "s",
    id,
    type: "llm",
    time,
    company,
    user: null,
    subject: company,
    ...(data === undefined ? {} : { data }),
  };
}

async function folderWithEvents(events = EVENTS): Promise<string> {
  const directory = workspace(YAML);
  const clock = { now: () => START + 41 * DAY };
  const settings = settingsIn(directory);
  const node = await openNode({ settings, clock, ownWriter: null, adoptFrom: 0, onNotice: () => undefined });
  for (let at = 0; at < events.length; at += 2_000)
    await ingest(node.store, node.catalog, events.slice(at, at + 2_000), clock.now());
  await node.close();
  return directory;
}

async function parquetRows(file: string): Promise<Record<string, unknown>[]> {
  const bytes = readFileSync(file);
  return parquetReadObjects({ file: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) });
}

describe("meterbook export", () => {
  it("writes events with all that they carry, in all three forms the same", async () => {
    const directory = await folderWithEvents();
    for (const format of ["csv", "ndjson", "parquet"]) {
      const result = await cli(
        directory,
        ["export", "events", "--format", format, "--out", `e.${format}`, "--json"],
        env,
      );
      expect(result.stderr).toBe("");
      expect(records(result)).toEqual([{ file: `e.${format}`, format, rows: 4 }]);
    }
    const lines = readFileSync(join(directory, "e.ndjson"), "utf8").trimEnd().split("\n");
    const objects = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(objects.map(({ event }) => event)).toEqual(EVENTS);
    expect(objects[2]).toMatchObject({
      seq: 3,
      id: "3",
      time: "2026-11-02T00:00:00Z",
      voided: null,
      recorded_at: null,
    });
    const [header, ...rows] = readCsv(readFileSync(join(directory, "e.csv"), "utf8"));
    expect(header?.cells).toEqual(Object.keys(objects[0] ?? {}));
    expect(rows.map(({ cells }) => JSON.parse(cells.at(-1) ?? "") as unknown)).toEqual(EVENTS);
    expect(rows[3]?.cells[6]).toBe("'=HYPERLINK(1)");
    const read = await parquetRows(join(directory, "e.parquet"));
    expect(read.map(({ event }) => JSON.parse(String(event)) as unknown)).toEqual(EVENTS);
    expect(read[3]).toMatchObject({
      seq: 4n,
      company: "=HYPERLINK(1)",
      time: new Date(START + 40 * DAY),
      voided: null,
    });
  }, 60_000);

  it("writes usage by day and group with exact decimals, over days without any", async () => {
    const directory = await folderWithEvents();
    for (const format of ["csv", "ndjson", "parquet"])
      expect((await cli(directory, ["export", "usage", "--format", format, "--out", `u.${format}`], env)).code).toBe(0);
    const lines = readFileSync(join(directory, "u.ndjson"), "utf8").trimEnd().split("\n");
    const objects = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(objects).toEqual([
      usageRow("acme", START, "0.3", 2, { model: "m" }),
      usageRow("acme", START + DAY, "9007199254740993", 1, { model: "=cmd()" }),
      usageRow("=HYPERLINK(1)", START + 40 * DAY, "5", 1, { model: 'ü,"x"\n' }),
    ]);
    const read = await parquetRows(join(directory, "u.parquet"));
    expect(read.map(({ value }) => value)).toEqual(["0.3", "9007199254740993", "5"]);
    expect(JSON.parse(String(read[2]?.["group"]))).toEqual({ model: 'ü,"x"\n' });
    const [, ...rows] = readCsv(readFileSync(join(directory, "u.csv"), "utf8"));
    expect(rows.map(({ cells }) => cells.slice(0, 2))).toEqual([
      ["tokens", "acme"],
      ["tokens", "acme"],
      ["tokens", "'=HYPERLINK(1)"],
    ]);
  }, 60_000);

  it("keeps to the span, the company and the meter that were asked for", async () => {
    const directory = await folderWithEvents();
    const span = ["--from", "2026-11-02", "--to", "2026-11-03", "--company", "acme", "--json"];
    expect(records(await cli(directory, ["export", "events", ...span, "--out", "e.csv"], env))[0]).toMatchObject({
      rows: 1,
    });
    expect(records(await cli(directory, ["export", "usage", ...span, "--out", "u.csv"], env))[0]).toMatchObject({
      rows: 1,
    });
    const unknown = await cli(directory, ["export", "usage", "--meter", "tokns", "--out", "x.csv"], env);
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toContain('Did you mean "tokens"?');
    expect(readdirSync(directory).filter((name) => name.startsWith("x.csv"))).toEqual([]);
  }, 60_000);

  it("replaces no file without --force, is nobody else's to read, and leaves nothing half behind", async () => {
    const directory = await folderWithEvents();
    const file = join(directory, "out.csv");
    writeFileSync(file, "mine");
    const refused = await cli(directory, ["export", "events", "--out", "out.csv"], env);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("--force") as string });
    expect(readFileSync(file, "utf8")).toBe("mine");
    expect((await cli(directory, ["export", "events", "--out", "out.csv", "--force"], env)).code).toBe(0);
    expect(readFileSync(file, "utf8")).toContain("9007199254740993");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const lost = await cli(directory, ["export", "events", "--out", "no/such/folder.csv"], env);
    expect(lost.code).toBe(1);
    expect(readdirSync(directory).filter((name) => name.includes(".part"))).toEqual([]);
    expect(existsSync(join(directory, "no"))).toBe(false);
  }, 60_000);

  it("names no file that a full disk cut, in any form", async () => {
    // Quotes are longer in CSV than in the database, so that only the file reaches the bound.
    const text = `"`.repeat(1_500);
    const events = Array.from({ length: 600 }, (_, at) => sent(`${at}`, START + at, { text }));
    const directory = await folderWithEvents(events);
    for (const format of ["csv", "parquet"]) {
      const args = ["export", "events", "--format", format, "--out", `e.${format}`];
      const { size } = statSync(join(directory, "meter.db"));
      await cli(directory, [...args.slice(0, -1), "whole"], env);
      const whole = statSync(join(directory, "whole")).size;
      const blocks = Math.floor((whole - 1_000) / 512);
      expect(format === "parquet" || blocks * 512 > size).toBe(true);
      const { code, stdout } = await cli(directory, args, env, `ulimit -f ${blocks}`);
      expect([format, code === 0, stdout]).toEqual([format, false, ""]);
      expect(readdirSync(directory).filter((name) => name.startsWith("e."))).toEqual([]);
      rmSync(join(directory, "whole"));
    }
  }, 120_000);

  it("writes more rows than one group holds, in order", async () => {
    const many = Array.from({ length: 21_000 }, (_, at) => sent(`n${at}`, START + at, { tokens: at, model: "m" }));
    const directory = await folderWithEvents(many);
    const result = await cli(directory, ["export", "events", "--format", "parquet", "--out", "e.parquet"], env);
    expect(result.stdout).toContain("21000 rows");
    const ids = (await parquetRows(join(directory, "e.parquet"))).map(({ id }) => id);
    expect(ids).toEqual(many.map(({ id }) => id));
  }, 120_000);
});

function usageRow(
  customer: string,
  from: number,
  value: string,
  events: number,
  group: Record<string, string>,
): object {
  return { meter: "tokens", customer, from: instant(from), to: instant(from + DAY), value, events, group };
}
