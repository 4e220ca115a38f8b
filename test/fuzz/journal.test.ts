import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import * as fc from "fast-check";
import { expect, it } from "vitest";

import { drainAll, eventLine, makeEvent, place } from "../journal/harness.ts";
import { LineEncoder, parseLine } from "../../src/journal/line.ts";
import { answers, fuzzed } from "./hostile-input.ts";

const WRITER = "aaaaaaaaaaaaaa";
const encoder = new LineEncoder();

/** A whole journal line. */
function lineOf(json: string): Buffer {
  const length = encoder.encode(json);
  return Buffer.from(encoder.buffer.subarray(0, length));
}

const HEADER = Buffer.from(`meterbook-journal 1 ${WRITER}\n`);
const EVENTS = Array.from({ length: 6 }, (_, at) => makeEvent(`e${at}`, { metadata: { at, text: "\u20ac\n" } }));
const LINES = EVENTS.map((event) => lineOf(eventLine(event)));
const WHOLE = Buffer.concat([HEADER, ...LINES]);

const foreign = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.json({ maxDepth: 3 }).map(lineOf),
  fc.constantFrom(...LINES, HEADER, Buffer.alloc(4_096), Buffer.from("\n".repeat(50))),
);

/** The segment, cut and with foreign bytes put in its place, some times over. */
const spliced = fc
  .array(fc.tuple(fc.nat(WHOLE.length), fc.nat(120), foreign), { minLength: 1, maxLength: 5 })
  .map((cuts) =>
    cuts.reduce(
      (bytes, [at, length, put]) => Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + length)]),
      WHOLE,
    ),
  );

it("gives out only events that were written, keeps the other bytes aside, and ends, whatever stands in a segment", () => {
  const here = place();
  const known = new Set(EVENTS.map((event) => JSON.stringify(event)));
  fc.assert(
    fc.property(spliced, (bytes) => {
      const folder = join(here.root, WRITER);
      rmSync(here.root, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "writer.json"), JSON.stringify({ pid: 1, host: "h", closedAt: 1 }));
      writeFileSync(join(folder, "00000001.journal"), bytes);
      const { events } = drainAll(here.drain());
      expect(events.filter((event) => !known.has(JSON.stringify(event)))).toEqual([]);
      // A line that stands there with both its ends is given out.
      const isWhole = (line: Buffer): boolean => bytes.includes(Buffer.concat([Buffer.from("\n"), line]));
      const whole = EVENTS.filter((_, at) => isWhole(LINES[at] ?? HEADER)).map(({ id }) => id);
      expect([...new Set(events.map(({ id }) => id))]).toEqual(expect.arrayContaining(whole));
      expect(here.names().filter((name) => name !== "quarantine")).toEqual([]);
    }),
    fuzzed(250),
  );
}, 180_000);

it("takes any bytes for a line or for none, in time", () => {
  fc.assert(
    fc.property(foreign, fc.nat(300), fc.nat(300), (bytes, start, length) => {
      const from = Math.min(start, bytes.length);
      answers(() => {
        const entry = parseLine(bytes, from, Math.min(from + length, bytes.length));
        expect(entry === null || ["event", "amendment"].includes(entry.kind)).toBe(true);
      });
    }),
    fuzzed(3_000),
  );
}, 120_000);

it("whatever stands in writer.json, a writer's lines are given out", () => {
  const here = place();
  const record = fc.oneof(
    fc.json(),
    fc.string({ unit: "binary" }),
    fc.constantFrom("", "null", "[]", "{}", '{"pid":-1}'),
  );
  fc.assert(
    fc.property(record, (text) => {
      const folder = join(here.root, WRITER);
      rmSync(here.root, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "writer.json"), text);
      writeFileSync(join(folder, "00000001.journal"), WHOLE);
      expect(drainAll(here.drain()).events).toHaveLength(EVENTS.length);
    }),
    fuzzed(150),
  );
}, 120_000);
