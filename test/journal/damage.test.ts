import { appendFileSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { UsageEvent } from "../../src/core/event.ts";
import { appendEvent, drainAll, eventLine, ids, makeEvent, place, type Place } from "./harness.ts";

interface Written {
  readonly writer: string;
  readonly path: string;
  readonly bytes: Buffer;
  readonly events: readonly UsageEvent[];
  /** Start of each event's line; one more for the end of the file. */
  readonly offsets: readonly number[];
}

/** A segment of some events, as a dead writer left it, with every byte known. */
function written(here: Place, count: number): Written {
  const journal = here.journal();
  const { writer } = journal;
  const events = Array.from({ length: count }, (_, at) =>
    makeEvent(journal.nextId(), { metadata: { at, text: "J*\u20ac\n" } }),
  );
  for (const event of events) journal.append(eventLine(event));
  const path = join(here.root, writer, "00000001.journal");
  const bytes = readFileSync(path);
  const offsets = [bytes.indexOf(10) + 1];
  for (const _ of events) offsets.push(bytes.indexOf(10, offsets.at(-1)) + 1);
  return { writer, path, bytes, events, offsets };
}

/** Puts a segment (back) as a writer left it that is surely dead. */
function leave(here: Place, { writer, path }: Written, bytes: Buffer): void {
  mkdirSync(join(here.root, writer), { recursive: true });
  writeFileSync(join(here.root, writer, "writer.json"), JSON.stringify({ pid: 1, host: "h", closedAt: 1 }));
  writeFileSync(path, bytes);
}

/** Names and bytes of the files in quarantine. */
function quarantined(here: Place): [string, Buffer][] {
  if (!here.names().includes("quarantine")) return [];
  return here.names("quarantine").map((name) => [name, readFileSync(join(here.root, "quarantine", name))]);
}

const keptBytes = (here: Place): Buffer[] => quarantined(here).map(([, bytes]) => bytes);

describe("a torn tail", () => {
  it("costs no whole line, wherever it is torn, and every other byte is kept", () => {
    const here = place();
    const segment = written(here, 2);
    const { bytes, events, offsets } = segment;
    for (let cut = 0; cut <= bytes.length; cut++) {
      leave(here, segment, bytes.subarray(0, cut));
      const whole = offsets.filter((offset, at) => at > 0 && offset <= cut).length;
      expect(drainAll(here.drain()).events).toEqual(events.slice(0, whole));
      const tailStart = offsets.findLast((offset) => offset <= cut) ?? 0;
      const tail = bytes.subarray(tailStart, cut);
      const torn = tail.length > 0;
      expect(here.names()).toEqual(torn ? ["quarantine"] : []);
      expect(here.told()).toEqual(torn ? ["noted METER_JOURNAL_DAMAGED"] : []);
      expect(quarantined(here)).toEqual(torn ? [[`${segment.writer}-1-${tailStart}.bytes`, tail]] : []);
      here.problems.length = 0;
      rmSync(join(here.root, "quarantine"), { recursive: true, force: true });
    }
  });

  it("of a living writer is only not there yet", () => {
    const here = place();
    const journal = here.journal();
    const drain = here.drain({}, journal.writer);
    const path = join(here.root, journal.writer, "00000001.journal");
    appendEvent(journal);
    const line = readFileSync(path).subarray(readFileSync(path).indexOf(10) + 1);
    for (let at = 0; at < line.length - 1; at++) {
      appendFileSync(path, line.subarray(at, at + 1));
      expect(drainAll(drain).events).toHaveLength(at === 0 ? 1 : 0);
    }
    appendFileSync(path, "\n");
    expect(drainAll(drain).events).toHaveLength(1);
    expect(here.problems).toEqual([]);
  });

  it("that its writer takes back hides no line written after it", () => {
    const here = place();
    const journal = here.journal();
    const drain = here.drain({}, journal.writer);
    const path = join(here.root, journal.writer, "00000001.journal");
    const size = readFileSync(path).length;
    appendFileSync(path, '12345678 {"kind":"event","event":');
    expect(drain.next(10).events).toEqual([]);
    truncateSync(path, size);
    const id = appendEvent(journal);
    expect(ids(drain.next(10).events)).toEqual([id]);
    expect(here.problems).toEqual([]);
  });

  it("before a full segment's successor is damage, and the successor is read all the same", () => {
    const here = place();
    const journal = here.journal({ segmentBytesMax: 300 });
    const first = appendEvent(journal);
    appendFileSync(join(here.root, journal.writer, "00000001.journal"), "torn");
    while (here.names(journal.writer).length < 3) appendEvent(journal);
    expect(ids(drainAll(here.drain({}, journal.writer)).events)).toContain(first);
    expect(keptBytes(here).map(String)).toEqual(["torn"]);
  });
});

describe("damaged bytes", () => {
  it("never cost an intact line and never invent one: bits flipped at random", () => {
    const here = place();
    const segment = written(here, 12);
    const { bytes, events, offsets } = segment;
    const flips = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(7)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(flips, (flipped) => {
        const damaged = Buffer.from(bytes);
        for (const [at, bit] of flipped) damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
        // A line begins behind its predecessor's newline: that byte is part of its frame.
        const same = (at: number): boolean => {
          const [from, to] = [(offsets[at] ?? 0) - 1, offsets[at + 1] ?? 0];
          return damaged.subarray(from, to).equals(bytes.subarray(from, to));
        };
        const intact = events.filter((_, at) => same(at));
        leave(here, segment, damaged);
        here.problems.length = 0;
        const drained = drainAll(here.drain()).events;
        expect(events.filter((event) => ids(drained).includes(event.id))).toEqual(drained);
        expect(ids(drained)).toEqual(expect.arrayContaining(ids(intact)));
        // Silence only when nothing is missing (a flip may hit the header's own words).
        expect(here.told().length > 0 || drained.length === events.length).toBe(true);
        rmSync(join(here.root, "quarantine"), { recursive: true, force: true });
      }),
      { numRuns: 150, seed: 5 },
    );
  });

  it("that still parse as JSON are no event: one digit of a metered value changed", () => {
    const here = place();
    const segment = written(here, 3);
    const at = segment.bytes.indexOf('"at":1');
    const damaged = Buffer.from(segment.bytes);
    damaged.write("7", at + 5);
    leave(here, segment, damaged);
    expect(drainAll(here.drain()).events).toEqual([segment.events[0], segment.events[2]]);
    expect(keptBytes(here)).toEqual([damaged.subarray(segment.offsets[1], segment.offsets[2])]);
  });

  it("with a right checksum but without an entry's shape are kept aside", () => {
    const here = place();
    const journal = here.journal();
    for (const json of [
      "null",
      "[]",
      "7",
      "{}",
      '{"kind":"event","event":{"id":"x"},"open":[]}',
      '{"kind":"new"}',
      "{",
      "",
    ])
      journal.append(json);
    const id = appendEvent(journal);
    here.claim(journal.writer, { closedAt: 1 });
    expect(ids(drainAll(here.drain()).events)).toEqual([id]);
    expect(keptBytes(here)).toHaveLength(1);
  });

  it("are kept in one piece per place, told once, and not again by the next run", () => {
    const here = place();
    const journal = here.journal();
    const path = join(here.root, journal.writer, "00000001.journal");
    const appended = [appendEvent(journal)];
    appendFileSync(path, "foreign\n\u0000\u0001\n\nbytes\n");
    appended.push(appendEvent(journal));
    appendFileSync(path, "more\n");
    appended.push(appendEvent(journal));
    for (let run = 0; run < 3; run++) {
      const drain = here.drain({}, journal.writer);
      // A line that a living writer may be at work on is believed to be damaged at the second look.
      const drained = Array.from({ length: 4 }, () => drainAll(drain).events).flat();
      expect(ids(drained)).toEqual(appended);
      expect(keptBytes(here).map(String).toSorted()).toEqual(["foreign\n\u0000\u0001\n\nbytes\n", "more\n"]);
      expect(here.problems).toHaveLength(2);
    }
    expect(here.problems[0]?.error.message).toContain(join("quarantine", `${journal.writer}-1-`));
    // When its writer is gone, the segment goes too, and the bytes stay.
    here.claim(journal.writer, { closedAt: 1 });
    drainAll(here.drain());
    expect(here.names()).toEqual(["quarantine"]);
    expect(here.problems).toHaveLength(2);
  });

  it("that cannot be kept elsewhere keep their segment", () => {
    const here = place();
    const segment = written(here, 2);
    leave(here, segment, Buffer.concat([segment.bytes, Buffer.from("torn")]));
    writeFileSync(join(here.root, "quarantine"), "a file in the way");
    expect(drainAll(here.drain()).events).toHaveLength(2);
    expect(here.told()).toEqual(["noted METER_JOURNAL_DAMAGED"]);
    expect(here.names()).toEqual([segment.writer, "quarantine"]);
    rmSync(join(here.root, "quarantine"));
    drainAll(here.drain());
    expect(here.names()).toEqual(["quarantine"]);
    expect(keptBytes(here).map(String)).toEqual(["torn"]);
  });

  it("in a line that is too long are kept as a whole, and reading goes on behind it", () => {
    const here = place();
    const segment = written(here, 2);
    const long = Buffer.from(`${"x".repeat(900_000)}\n`);
    const [head, middle] = [segment.bytes.subarray(0, segment.offsets[1]), segment.bytes.subarray(segment.offsets[1])];
    leave(here, segment, Buffer.concat([head, long, middle, long.subarray(0, -1)]));
    expect(drainAll(here.drain({ lineBytesMax: 300_000 })).events).toEqual(segment.events);
    expect(new Set(keptBytes(here).map(({ length }) => length))).toEqual(new Set([900_000, 900_001]));
    leave(here, segment, Buffer.concat([head, long, middle]));
    expect(drainAll(here.drain({ lineBytesMax: 1_000 })).events).toEqual(segment.events);
  });

  it("make no trouble in an empty file or one of zeros", () => {
    const here = place();
    const segment = written(here, 1);
    leave(here, segment, Buffer.alloc(0));
    expect(drainAll(here.drain()).events).toEqual([]);
    expect(here.names()).toEqual([]);
    leave(here, segment, Buffer.alloc(600_000));
    expect(drainAll(here.drain()).events).toEqual([]);
    expect(keptBytes(here).map((bytes) => bytes.equals(Buffer.alloc(600_000)))).toEqual([true]);
  });
});
