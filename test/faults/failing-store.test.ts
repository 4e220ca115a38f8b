import { join } from "node:path";

import { expect, it } from "vitest";

import { depth } from "./depth.ts";
import { recordFigures } from "./figures.ts";
import { needs } from "./needs.ts";
import { expectWhole, figuresOf } from "./oracle.ts";
import { activeSegment, attachFaults, journalFolder, type FailingCall } from "./strace.ts";
import { startTelling, toldLoad, untilStored } from "./told-load.ts";

interface Case {
  readonly name: string;
  readonly failing: (nth: number) => readonly FailingCall[];
  /** The failing calls are on the database's files, or on the segment that is full next. */
  readonly on: "database" | "segment";
}

const once: readonly Case[] = (["pwrite64", "fsync"] as const).map((call) => ({
  name: `${call}: EIO once`,
  failing: (nth) => [{ call, error: "EIO", when: String(nth) }],
  on: "database",
}));
const lasting: readonly Case[] = (["pwrite64", "fsync"] as const).map((call) => ({
  name: `${call}: from then on`,
  failing: (nth) => [{ call, error: call === "fsync" ? "EIO" : "ENOSPC", when: `${nth}+` }],
  on: "database",
}));
const closed: readonly Case[] = (["EACCES", "EMFILE"] as const).map((error) => ({
  name: `openat after a failed write: ${error}`,
  failing: (nth) => [
    { call: "pwrite64", error: "EIO", when: String(nth) },
    { call: "openat", error, when: "1+" },
  ],
  on: "database",
}));
/** SQLite then tries to open the file for reading alone, and that works. */
const readOnly: readonly Case[] = [
  {
    name: "openat for writing after a failed write: EACCES once",
    failing: (nth) => [
      { call: "pwrite64", error: "EIO", when: String(nth) },
      { call: "openat", error: "EACCES", when: "1" },
    ],
    on: "database",
  },
];
const kept: readonly Case[] = (["EIO", "EACCES"] as const).map((error) => ({
  name: `unlink of a stored segment: ${error}`,
  failing: () => [{ call: "unlink", error, when: "1+" }],
  on: "segment",
}));

function pathsOf({ on }: Case, folder: string, pid: number): readonly string[] {
  const database = join(folder, "meter.db");
  return on === "segment" ? [activeSegment(journalFolder(folder, pid)).path] : [database, `${database}-wal`];
}

it("a disk that fails under the database loses nothing, and the app goes on when it works again", async (context) => {
  needs(context, "strace-attach");
  const { random, folder, oracle, app, pid } = await startTelling();
  const seen = { rounds: 0, struck: 0, failedFlushes: 0, missed: new Array<string>() };
  try {
    await toldLoad({ app, oracle, random, prefix: "first", requests: 20 });
    await untilStored(app);
    for (const nth of depth({ ci: [1, 4], long: Array.from({ length: 40 }, (_, at) => at + 1) })) {
      // A segment that is deleted takes with it what was given out and, after a failed write, not given out again.
      for (const each of [...once, ...kept, ...lasting, ...kept, ...closed, ...readOnly]) {
        const faults = await attachFaults(pid, each.failing(nth), pathsOf(each, folder, pid));
        const prefix = `${each.name.replaceAll(/\W+/g, "-")}-${seen.rounds}`;
        // A segment is deleted when the next one has begun.
        const load = each.on === "segment" ? { requests: 70, padBytes: 90_000 } : { requests: 50 };
        // Each flush is a commit or more: the n-th call comes with one of them.
        for (let commits = 0; commits <= 2 * nth + 2 && !faults.allStruck(); commits++) {
          const { refused } = await toldLoad({ app, oracle, random, prefix: `${prefix}-${commits}`, ...load });
          // The database is not on the request's way.
          expect({ name: each.name, refused }).toEqual({ name: each.name, refused: 0 });
          if ((await app.flush()) !== null) seen.failedFlushes += 1;
        }
        if (!faults.allStruck()) seen.missed.push(each.name);
        seen.struck += await faults.detach();
        await untilStored(app);
        seen.rounds += 1;
      }
      // Not sooner: the oracle's commands take in what the app forgot, as long as its segment stands.
      expectWhole(await oracle.check({ directory: folder }));
      expect(seen.missed).toEqual([]);
    }
    expect(await app.close()).toBe(null);
    const verdict = await oracle.check({ directory: folder });
    recordFigures({
      test: "EIO, ENOSPC, EMFILE, EACCES under the database",
      rounds: seen.rounds,
      ...figuresOf(verdict),
      note: `${seen.struck} calls failed; ${seen.failedFlushes} flushes said so`,
    });
    expectWhole(verdict);
    // It was felt, and it was said.
    expect(seen.failedFlushes).toBeGreaterThan(0);
    expect(app.notices.map(({ code }) => code)).toContainEqual(expect.stringMatching(/^METER_STORE_/));
  } finally {
    await oracle.close();
  }
});
