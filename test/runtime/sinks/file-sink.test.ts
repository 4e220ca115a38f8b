import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, it, onTestFinished } from "vitest";

import { readCsv } from "../../../src/cli/csv.ts";
import { limits } from "../../../src/engine/limits.ts";
import { fileSink } from "../../../src/runtime/sinks/file-sink.ts";
import { memoryStore } from "../../../src/memory/memory-store.ts";
import { FEBRUARY, LATENESS, session, stream } from "../../engine/periods/metered-stream.ts";
import { MINUTE } from "../../engine/world.ts";

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "meterbook-sink-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

const record = (id: string) => ({ id, text: JSON.stringify({ id, value: "1" }) });

it("A file of records gets each record once, in order, and only its owner reads it", async () => {
  const path = join(folder(), "deep", "records.ndjson");
  const sink = fileSink({ name: "archive", path, format: "ndjson" });
  for (const id of ["fr_1", "fr_2", "fr_1", "fr_2", "fr_3"])
    expect(await sink.emit(record(id), 0)).toEqual({ kind: "taken" });
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).id)).toEqual(["fr_1", "fr_2", "fr_3"]);
  expect(statSync(path).mode & 0o077).toBe(0);
});

it("A line that a crash cut off is taken away, and its record is written again whole", async () => {
  const path = join(folder(), "records.ndjson");
  const sink = fileSink({ name: "archive", path, format: "ndjson" });
  await sink.emit(record("fr_1"), 0);
  appendFileSync(path, '{"id":"fr_2","val');
  await sink.emit(record("fr_2"), 0);
  expect(readFileSync(path, "utf8").split("\n")).toEqual([
    '{"id":"fr_1","value":"1"}',
    '{"id":"fr_2","value":"1"}',
    "",
  ]);
  appendFileSync(path, `{"id":"fr_3","value":"${"9".repeat(3 * limits.sinkTailBytesMax)}`);
  await sink.emit(record("fr_2"), 0);
  await sink.emit(record("fr_3"), 0);
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).id)).toEqual(["fr_1", "fr_2", "fr_3"]);
});

it("A file that cannot be written is a failure that is tried again", async () => {
  const path = folder();
  expect(await fileSink({ name: "archive", path, format: "ndjson" }).emit(record("fr_1"), 0)).toMatchObject({
    kind: "failed",
  });
});

it("A CSV file has a head, one line a record, and no cell that a spreadsheet would calculate", async () => {
  const path = join(folder(), "records.csv");
  const { clock, send, close, records } = await stream(memoryStore({ bucketMs: MINUTE }), {
    users: [["=cmd|calc", "L1_Llama3"]],
  });
  clock.set(Date.parse("2026-01-20T00:00:00Z"));
  await send(session("a", { company: "=cmd|calc", apiCalls: "0.000000000001" }));
  clock.set(FEBRUARY + LATENESS);
  await close();
  const sink = fileSink({ name: "archive", path, format: "csv" });
  for (const { sinks: _sinks, ...each } of [...(await records()), ...(await records())])
    await sink.emit({ id: each.id, text: JSON.stringify(each) }, 0);
  const [head, line, ...more] = readCsv(readFileSync(path, "utf8"));
  const cells = new Map(head?.cells.map((name, at) => [name, line?.cells[at]]));
  expect(more).toEqual([]);
  expect(cells.get("userId")).toBe("'=cmd|calc");
  expect(cells.get("value")).toBe("0.000000000001");
  expect(JSON.parse(cells.get("carryLast") ?? "")).toEqual({ caseNumber: "case a", status: "closed" });
});
