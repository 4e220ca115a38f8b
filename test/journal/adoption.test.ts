import { existsSync } from "node:fs";
import { join } from "node:path";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Journal } from "../../src/journal/journal.ts";
import { appendEvent, drainAll, ids, place, Reader, sorted, type Place } from "./harness.ts";

/** A journal as another machine sees it: only its heartbeat tells whether it lives. */
function distantJournal(here: Place): Journal {
  const journal = here.journal({ writerHeartbeatMs: 5_000, segmentBytesMax: 2_000 });
  here.claim(journal.writer, { host: "elsewhere" });
  return journal;
}

describe("a writer on another machine", () => {
  it("that falls silent has its last segment adopted, and deleted only after as long again", () => {
    const here = place();
    const journal = distantJournal(here);
    const id = appendEvent(journal);
    const drain = here.drain();
    expect(ids(drainAll(drain).events)).toEqual([id]);
    here.clock.forward(61_000);
    drainAll(drain);
    expect(here.names(journal.writer)).toEqual(["00000001.adopted", "writer.json"]);
    here.clock.forward(59_999);
    drainAll(drain);
    expect(here.names(journal.writer)).toEqual(["00000001.adopted", "writer.json"]);
    here.clock.forward(1);
    drainAll(drain);
    expect(existsSync(join(here.root, journal.writer))).toBe(false);
  });

  it("that was only frozen finds out at its first line, and writes all again under a new name", () => {
    const here = place();
    const journal = distantJournal(here);
    const first = journal.writer;
    const before = appendEvent(journal);
    const drain = here.drain();
    drainAll(drain);
    here.clock.forward(200_000);
    drainAll(drain);
    here.clock.forward(60_000);
    drainAll(drain);
    expect(here.names()).toEqual([]);
    const after = appendEvent(journal);
    expect(journal.writer).not.toBe(first);
    expect(after?.startsWith(first)).toBe(true);
    expect(here.told()).toEqual(["begun METER_JOURNAL_UNWRITABLE", "over METER_JOURNAL_UNWRITABLE"]);
    expect(ids(drainAll(drain).events)).toEqual(sorted([before, after]));
    expect(journal.nextId().startsWith(journal.writer)).toBe(true);
  });

  it("that goes on writing into the adopted file for a moment loses nothing", () => {
    const here = place();
    const journal = distantJournal(here);
    const drain = here.drain();
    const first = journal.writer;
    appendEvent(journal);
    // The reader's clock is far ahead: it takes a writer for silent that is not.
    here.clock.forward(61_000);
    drainAll(drain);
    here.clock.forward(-60_500);
    const late = appendEvent(journal);
    expect(journal.writer).toBe(first);
    expect(here.names(first)).toContain("00000001.adopted");
    here.clock.forward(121_000);
    expect(ids(drainAll(drain).events)).toEqual([late]);
    expect(here.names()).toEqual([]);
  });

  it("may freeze and wake up at any time, whatever readers do: what it accepted is stored", async () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ step: fc.constant("append" as const), count: fc.integer({ min: 1, max: 9 }) }),
        fc.record({
          step: fc.constant("wait" as const),
          ms: fc.constantFrom(500, 4_000, 6_000, 29_000, 61_000, 150_000),
        }),
        fc.record({ step: fc.constantFrom("drain" as const, "restart" as const, "look" as const), who: fc.nat(1) }),
      ),
      { maxLength: 60, size: "max" },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        const here = place();
        const journal = distantJournal(here);
        let { writer } = journal;
        const readers = [new Reader(here), new Reader(here)] as const;
        const accepted = new Set<string>();
        for (const action of plan) {
          if (action.step === "wait") here.clock.forward(action.ms);
          else if (action.step === "append") {
            for (let at = 0; at < action.count; at++) accepted.add(`event ${appendEvent(journal)}`);
            if (journal.writer !== writer) here.claim(({ writer } = journal).writer, { host: "elsewhere" });
          } else {
            const reader = action.who === 0 ? readers[0] : readers[1];
            if (action.step === "restart") reader.restart();
            else if (reader.next(action.step === "look" ? 5 : 100) > 0 && action.step === "drain") reader.commit();
          }
        }
        await journal.close();
        here.clock.forward(61_000);
        const last = new Reader(here);
        while (last.next(50) > 0) last.commit();
        const stored = [...readers, last]
          .flatMap((reader) => [...reader.stored])
          .filter((fact) => fact.startsWith("event"));
        expect([...new Set(stored)].toSorted()).toEqual([...accepted].toSorted());
        await here.remove();
      }),
      { numRuns: 60, seed: 21 },
    );
  });
});
