import { describe, expect, it } from "vitest";

import { openMemoryDrain } from "../../src/journal/memory-drain.ts";
import { openMemoryJournal, type MemoryJournal } from "../../src/journal/memory-journal.ts";
import type { JournalProblem } from "../../src/journal/problem.ts";
import { amendmentLine, appendEvent, drainAll, eventLine, HandClock, makeEvent } from "./harness.ts";

const clock = new HandClock();

function memoryJournal(limit: number, problems: JournalProblem[] = []): MemoryJournal {
  return openMemoryJournal({
    limit,
    clock,
    random: (bytes) => new Uint8Array(bytes),
    onProblem: (problem) => problems.push(problem),
  });
}

describe("the journal in memory", () => {
  it("refuses and counts beyond its bound, and recovers when lines are taken", () => {
    const problems: JournalProblem[] = [];
    const journal = memoryJournal(3, problems);
    const accepted = Array.from({ length: 5 }, () => appendEvent(journal));
    expect(accepted.map((id) => id !== null)).toEqual([true, true, true, false, false]);
    expect(journal.stats()).toMatchObject({ written: 3, refused: 2, problem: { code: "METER_BACKLOG_FULL" } });
    expect(journal.take(2)).toHaveLength(2);
    expect(appendEvent(journal)).not.toBeNull();
    expect(problems.map(({ phase, refused }) => `${phase} ${refused}`)).toEqual(["begun 0", "over 2"]);
    expect(journal.take()).toHaveLength(2);
    expect(journal.take()).toEqual([]);
    expect(journal.stats()).toMatchObject({ backlogBytes: 0, problem: null });
  });

  it("answers who waits, and refuses after close", async () => {
    const journal = memoryJournal(1);
    const durable = (id: string): Promise<unknown> =>
      new Promise((resolve) => journal.appendDurable(eventLine(makeEvent(id)), resolve));
    expect(await durable("a")).toBeUndefined();
    expect(await durable("b")).toMatchObject({ code: "METER_BACKLOG_FULL" });
    await journal.sync();
    await journal.close();
    journal.take();
    expect(await durable("c")).toMatchObject({ code: "METER_BACKLOG_FULL" });
    expect(journal.stats()).toMatchObject({ written: 1, refused: 2 });
  });

  it("is drained as files are: joined, repeated after a rollback, completed at the end", () => {
    const journal = memoryJournal(100);
    const drain = openMemoryDrain({ clock });
    for (const id of ["a", "b"]) journal.append(eventLine(makeEvent(id, { company: null }), ["identity"]));
    journal.append(eventLine(makeEvent("c")));
    journal.append(amendmentLine({ source: "api", id: "a", closes: "identity", company: "acme" }));
    drain.push(journal.take());
    const batch = drain.next(10);
    expect(batch.events.map(({ id }) => id)).toEqual(["c", "a"]);
    drain.rollback();
    expect(drain.next(10)).toEqual(batch);
    drain.commit();
    expect(drain.next(10).events).toEqual([]);
    expect(drain.backlog()).toMatchObject({ openEvents: 1 });
    drain.end();
    expect(drainAll(drain).events).toEqual([
      makeEvent("b", { company: null, faults: { company: "identify_timeout" } }),
    ]);
    expect(drain.backlog()).toEqual({ bytes: 0, openEvents: 0, oldestMs: null });
  });

  it("gives up waiting for open parts when the time is up", () => {
    const drain = openMemoryDrain({ clock, openPartsWaitMs: 10 });
    drain.push([eventLine(makeEvent("a"), ["end"])]);
    expect(drain.next(10).events).toEqual([]);
    clock.forward(10);
    expect(drain.next(10).events).toHaveLength(1);
    drain.push(["[]"]);
    expect(() => drain.next(10)).toThrow(TypeError);
  });
});
