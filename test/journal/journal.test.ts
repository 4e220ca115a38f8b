import { statSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { segmentHeader } from "../../src/journal/segment-file.ts";
import { appendEvent, drainAll, eventLine, ids, makeEvent, place, sorted } from "./harness.ts";

const anyEvent = fc.record({
  type: fc.string({ unit: "grapheme" }),
  company: fc.option(fc.string({ unit: "binary" })),
  metadata: fc.jsonValue(),
  values: fc.dictionary(fc.string(), fc.constantFrom("1", "0.5", "-12")),
});

describe("the journal", () => {
  it("gives back any event exactly as it was appended", () => {
    const here = place();
    const journal = here.journal({ segmentBytesMax: 5_000 });
    const drain = here.drain();
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 30 }), fc.integer({ min: 1, max: 40 }), (facts, limit) => {
        const events = facts.map((fact) => makeEvent(journal.nextId(), fact as object));
        for (const event of events) expect(journal.append(eventLine(event))).toBe(true);
        expect(drainAll(drain, limit).events).toEqual(JSON.parse(JSON.stringify(events)));
      }),
      { numRuns: 150, seed: 7 },
    );
    expect(here.problems).toEqual([]);
  });

  it("writes the format of its page: header, checksum, blank, JSON", () => {
    const here = place();
    const journal = here.journal();
    const line = eventLine(makeEvent(journal.nextId(), { metadata: { name: "Zoë" } }));
    journal.append(line);
    const sum = crc32(line).toString(16).padStart(8, "0");
    expect(here.text(journal.writer, "00000001.journal")).toBe(`${segmentHeader(journal.writer)}${sum} ${line}\n`);
    expect(journal.writer).toMatch(/^[0-9a-z]{14}$/);
    expect(statSync(join(here.root, journal.writer)).mode & 0o777).toBe(0o700);
    expect(statSync(join(here.root, journal.writer, "00000001.journal")).mode & 0o777).toBe(0o600);
    expect(statSync(join(here.root, journal.writer, "writer.json")).mode & 0o777).toBe(0o600);
    expect(JSON.parse(here.text(journal.writer, "writer.json"))).toMatchObject({ pid: process.pid, closedAt: null });
  });

  it("has written the line before append returns, and counts it", () => {
    const here = place();
    const journal = here.journal();
    const before = statSync(join(here.root, journal.writer, "00000001.journal")).size;
    const line = eventLine(makeEvent("a-1"));
    journal.append(line);
    const bytes = Buffer.byteLength(line) + 10;
    expect(statSync(join(here.root, journal.writer, "00000001.journal")).size).toBe(before + bytes);
    expect(journal.stats()).toEqual({ written: 1, refused: 0, bytes, backlogBytes: before + bytes, problem: null });
  });

  it("turns a raw newline between JSON tokens into a blank, so that a line stays a line", () => {
    const here = place();
    const journal = here.journal();
    journal.append(JSON.stringify({ kind: "event", event: makeEvent("a-1", { metadata: "x\ny" }), open: [] }, null, 2));
    expect(drainAll(here.drain()).events).toEqual([makeEvent("a-1", { metadata: "x\ny" })]);
  });

  it("makes ids that never repeat, also across two journals of one process", () => {
    const here = place();
    const [one, two] = [here.journal(), here.journal()];
    const all = Array.from({ length: 100 }, () => [one.nextId(), two.nextId()]).flat();
    expect(new Set(all).size).toBe(200);
    expect(all[0]).toBe(`${one.writer}-0`);
    expect(all.at(-2)).toBe(`${one.writer}-2r`);
  });

  it("rotates at the segment bound; readers delete what is full and committed, never the active one", () => {
    const here = place();
    const journal = here.journal({ segmentBytesMax: 1_000 });
    const appended = Array.from({ length: 50 }, () => appendEvent(journal));
    const segments = here.names(journal.writer).filter((name) => name.endsWith(".journal"));
    expect(segments.length).toBeGreaterThan(5);
    for (const name of segments)
      expect(statSync(join(here.root, journal.writer, name)).size).toBeLessThanOrEqual(1_000);
    const drain = here.drain({}, journal.writer);
    expect(ids(drainAll(drain).events)).toEqual(sorted(appended));
    expect(here.names(journal.writer)).toEqual([segments.at(-1), "writer.json"]);
    expect(journal.stats().backlogBytes).toBeLessThanOrEqual(1_000);
  });

  it("takes a line that is longer than a segment, and refuses one that is longer than a line may be", () => {
    const here = place();
    const journal = here.journal({ segmentBytesMax: 1_000, lineBytesMax: 20_000 });
    expect(appendEvent(journal, { metadata: "x".repeat(15_000) })).not.toBeNull();
    expect(appendEvent(journal, { metadata: "x".repeat(20_000) })).toBeNull();
    expect(appendEvent(journal, { metadata: "\u20ac".repeat(7_000) })).toBeNull();
    expect(appendEvent(journal)).not.toBeNull();
    expect(here.told()).toEqual(["noted METER_JOURNAL_UNWRITABLE", "noted METER_JOURNAL_UNWRITABLE"]);
    expect(journal.stats()).toMatchObject({ written: 2, refused: 2 });
    expect(drainAll(here.drain({ lineBytesMax: 20_000 })).events).toHaveLength(2);
  });

  it("answers all who wait for the disk, in order, and refuses after close", async () => {
    const here = place();
    const journal = here.journal({}, "power");
    const answers: number[] = [];
    const all = Array.from(
      { length: 50 },
      (_, at) =>
        new Promise<unknown>((resolve) =>
          journal.appendDurable(eventLine(makeEvent(`a-${at}`)), (error) => {
            answers.push(at);
            resolve(error);
          }),
        ),
    );
    expect(answers).toEqual([]);
    expect(await Promise.all(all)).toEqual(all.map(() => undefined));
    expect(answers).toEqual(all.map((_, at) => at));
    await journal.sync();
    await journal.close();
    const late = await new Promise<unknown>((resolve) => journal.appendDurable(eventLine(makeEvent("late")), resolve));
    expect(late).toMatchObject({ code: "METER_JOURNAL_UNWRITABLE" });
    expect(journal.stats()).toMatchObject({ written: 50, refused: 1 });
    expect(drainAll(here.drain()).events).toHaveLength(50);
  });

  it("marks itself closed, after which a reader removes the whole folder", async () => {
    const here = place();
    const journal = here.journal();
    appendEvent(journal);
    const closing = journal.close();
    expect(journal.append(eventLine(makeEvent("late")))).toBe(false);
    await closing;
    await journal.close();
    expect(JSON.parse(here.text(journal.writer, "writer.json"))).toMatchObject({ closedAt: here.clock.now() });
    const drain = here.drain({}, journal.writer);
    expect(drainAll(drain).events).toHaveLength(1);
    expect(here.names()).toEqual([]);
  });
});

describe("the backlog bound", () => {
  it("refuses and counts beyond it, tells once, and recovers by itself when the drain made room", () => {
    const here = place();
    const journal = here.journal({ segmentBytesMax: 2_000, backlogBytesMax: 6_000 });
    const appended: (string | null)[] = [];
    while (appended.at(-1) !== null) appended.push(appendEvent(journal));
    expect(journal.stats().backlogBytes).toBeLessThanOrEqual(6_000 + 100);
    for (let more = 0; more < 9; more++) expect(appendEvent(journal)).toBeNull();
    expect(here.told()).toEqual(["begun METER_BACKLOG_FULL"]);
    expect(journal.stats()).toMatchObject({ refused: 10, problem: { code: "METER_BACKLOG_FULL" } });

    const drained = drainAll(here.drain({}, journal.writer)).events;
    here.clock.forward(1_000);
    const after = appendEvent(journal);
    expect(after).not.toBeNull();
    expect(here.told()).toEqual(["begun METER_BACKLOG_FULL", "over METER_BACKLOG_FULL"]);
    expect(here.problems[1]?.refused).toBe(10);
    expect(journal.stats().problem).toBeNull();
    expect(ids(drained)).toEqual(sorted(appended.slice(0, -1)));
  });

  it("stays refused while nobody drains, looking at most every journalRetryMs, and begins a new episode later", () => {
    const here = place();
    const journal = here.journal({ segmentBytesMax: 1_000, backlogBytesMax: 3_000 });
    const fill = (): void => {
      while (appendEvent(journal) !== null);
    };
    fill();
    here.clock.forward(1_500);
    expect(appendEvent(journal)).toBeNull();
    drainAll(here.drain({}, journal.writer));
    expect(appendEvent(journal)).toBeNull();
    here.clock.forward(1_000);
    expect(appendEvent(journal)).not.toBeNull();
    fill();
    expect(here.told().filter((told) => told.startsWith("begun"))).toHaveLength(2);
  });
});
