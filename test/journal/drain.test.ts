import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { amendmentLine, appendEvent, drainAll, eventLine, ids, makeEvent, place, Reader } from "./harness.ts";

describe("the drain", () => {
  it("finds nothing where there is nothing, and ignores what is no journal", () => {
    const here = place();
    const drain = here.drain();
    expect(drain.next(10)).toEqual({ events: [], amendments: [] });
    expect(drain.backlog()).toEqual({ bytes: 0, openEvents: 0, oldestMs: null });
    mkdirSync(join(here.root, "lost+found"), { recursive: true });
    writeFileSync(join(here.root, "notes.txt"), "mine");
    expect(drain.next(10).events).toEqual([]);
    expect(here.problems).toEqual([]);
  });

  it("gives batches of the wished size, oldest first, and takes turns between writers", () => {
    const here = place();
    const [one, two] = [here.journal(), here.journal()];
    const first = Array.from({ length: 10 }, () => appendEvent(one));
    const second = Array.from({ length: 10 }, () => appendEvent(two));
    const drain = here.drain();
    const batches = Array.from({ length: 4 }, () => drain.next(5).events.map(({ id }) => id));
    expect(batches.map((batch) => batch.length)).toEqual([5, 5, 5, 5]);
    expect(batches.flat().filter((id) => first.includes(id))).toEqual(first);
    expect(batches.flat().filter((id) => second.includes(id))).toEqual(second);
    expect(new Set(batches.slice(0, 2).map(([id]) => id?.slice(0, 14))).size).toBe(2);
  });

  it("gives out again what was rolled back, also in smaller batches, and deletes nothing before all of it is committed", async () => {
    const here = place();
    const journal = here.journal();
    const appended = Array.from({ length: 10 }, () => appendEvent(journal));
    journal.append(amendmentLine({ source: "api", id: appended[0] ?? "", closes: "end", aborted: true }));
    await journal.close();
    const drain = here.drain();
    expect(drain.next(6).events).toHaveLength(6);
    expect(drain.next(6).amendments).toHaveLength(1);
    drain.rollback();
    const again = drain.next(7);
    drain.commit();
    expect(again.amendments).toEqual([]);
    expect(here.names()).toEqual([journal.writer]);
    const rest = drain.next(7);
    drain.commit();
    expect([...again.events, ...rest.events].map(({ id }) => id)).toEqual(appended);
    expect(rest.amendments).toHaveLength(1);
    expect(here.names()).toEqual([]);
  });

  it("rereads everything that was not deleted after a restart", () => {
    const here = place();
    const journal = here.journal();
    const appended = [appendEvent(journal), appendEvent(journal)];
    expect(ids(drainAll(here.drain({}, journal.writer)).events)).toEqual(appended);
    expect(ids(drainAll(here.drain({}, journal.writer)).events)).toEqual(appended);
  });

  it("tells what waits: bytes, open events and the oldest age", () => {
    const here = place();
    const journal = here.journal();
    const drain = here.drain({}, journal.writer);
    appendEvent(journal, { time: here.clock.now() - 4_000 });
    journal.append(eventLine(makeEvent("open", { time: here.clock.now() - 1_000 }), ["end"]));
    const bytes = journal.stats().bytes;
    expect(drain.backlog()).toEqual({ bytes, openEvents: 0, oldestMs: 4_000 });
    drain.next(10);
    expect(drain.backlog()).toEqual({ bytes, openEvents: 1, oldestMs: 4_000 });
    drain.commit();
    expect(drain.backlog()).toEqual({ bytes: 0, openEvents: 1, oldestMs: 1_000 });
  });

  it("takes a writer for dead at once when its pid is gone or belongs to another program", () => {
    const here = place();
    const cases: [object, boolean][] = [
      [{ pid: 2 ** 22 + 1 }, true],
      [{ startTicks: "1" }, true],
      [{ closedAt: 5 }, true],
      [{}, false],
      [{ host: "elsewhere", pid: 2 ** 22 + 1 }, false],
      [{ bootId: "another-boot", pid: 2 ** 22 + 1 }, false],
      [{ pidSpace: "pid:[1]", pid: 2 ** 22 + 1 }, false],
    ];
    for (const [claims, dead] of cases) {
      const journal = here.journal();
      appendEvent(journal);
      here.claim(journal.writer, claims);
      drainAll(here.drain());
      expect([claims, existsSync(join(here.root, journal.writer))]).toEqual([claims, !dead]);
      rmSync(join(here.root, journal.writer), { recursive: true, force: true });
    }
  });

  it("takes a writer whose record is missing or garbage for living until it has been silent long enough", () => {
    for (const record of [null, "", "[]", '{"pid":"x"}']) {
      const here = place();
      const journal = here.journal({ writerHeartbeatMs: 1e8 });
      appendEvent(journal);
      const path = join(here.root, journal.writer, "writer.json");
      if (record === null) rmSync(path);
      else writeFileSync(path, record);
      const drain = here.drain();
      expect(drainAll(drain).events).toHaveLength(1);
      expect(here.names(journal.writer)).toContain("00000001.journal");
      here.clock.forward(70_000);
      drain.next(10);
      expect(here.names(journal.writer)).toContain("00000001.adopted");
      here.clock.forward(60_000);
      drain.next(10);
      expect(existsSync(join(here.root, journal.writer))).toBe(false);
      expect(here.problems).toEqual([]);
    }
  });
});

type Step = "append" | "open" | "amend" | "next" | "commit" | "rollback" | "restart";
const steps = fc.array(
  fc.record({
    step: fc.constantFrom<Step>("append", "append", "open", "amend", "next", "next", "commit", "rollback", "restart"),
    who: fc.nat(1),
    count: fc.integer({ min: 1, max: 9 }),
  }),
  { maxLength: 80, size: "max" },
);

describe("two drains on one root", () => {
  it("lose nothing and invent nothing, whatever they do and wherever they crash", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        const here = place();
        const journals = [here.journal({ segmentBytesMax: 700 }), here.journal({ segmentBytesMax: 700 })] as const;
        const readers = [new Reader(here), new Reader(here)] as const;
        const wanted = new Set<string>();
        const open: string[][] = [[], []];
        for (const { step, who, count } of plan) {
          const [journal, reader] = who === 0 ? [journals[0], readers[0]] : [journals[1], readers[1]];
          if (step === "append")
            for (let at = 0; at < count; at++) wanted.add(`event ${appendEvent(journal, { company: null })}`);
          else if (step === "open") {
            const id = journal.nextId();
            journal.append(eventLine(makeEvent(id, { company: null }), ["identity"]));
            open[who]?.push(id);
            wanted.add(`event ${id}`);
          } else if (step === "amend") {
            const id = open[who]?.shift();
            if (id === undefined) continue;
            journal.append(amendmentLine({ source: "api", id, closes: "identity", company: "acme" }));
            wanted.add(`company ${id}`);
          } else if (step === "next") reader.next(count * 3);
          else reader[step]();
        }
        await Promise.all(journals.map((journal) => journal.close()));
        for (const reader of readers) {
          while (reader.next(50) > 0) reader.commit();
          reader.commit();
        }
        const stored = new Set([...readers[0].stored, ...readers[1].stored]);
        expect([...stored].toSorted()).toEqual([...wanted].toSorted());
        expect(here.names()).toEqual([]);
        expect(here.problems).toEqual([]);
        await here.remove();
      }),
      { numRuns: 60, seed: 3 },
    );
  });
});
