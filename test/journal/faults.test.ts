import { execFile } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

import { describe, expect, it } from "vitest";

import { GroupSync } from "../../src/journal/group-sync.ts";
import { appendEvent, drainAll, ids, place, sorted } from "./harness.ts";
import { journalModule, writerProgram } from "./program.ts";

describe("a disk that refuses", () => {
  it("at the start: the journal refuses, tells why once, and recovers with the count of what was refused", () => {
    const here = place();
    writeFileSync(here.root, "a file where the directory should be");
    const journal = here.journal();
    for (let at = 0; at < 3; at++) expect(appendEvent(journal)).toBeNull();
    expect(here.told()).toEqual(["begun METER_JOURNAL_UNWRITABLE"]);
    const { error } = here.problems[0] ?? {};
    expect(error?.message).toContain(here.root);
    expect(error?.message).toMatch(/EEXIST|ENOTDIR/);
    expect(error?.remedy).toContain("move it away");
    expect(journal.stats()).toMatchObject({ written: 0, refused: 3, problem: { code: "METER_JOURNAL_UNWRITABLE" } });

    rmSync(here.root);
    expect(appendEvent(journal)).toBeNull();
    here.clock.forward(1_000);
    const id = appendEvent(journal);
    expect(here.told()).toEqual(["begun METER_JOURNAL_UNWRITABLE", "over METER_JOURNAL_UNWRITABLE"]);
    expect(here.problems[1]?.refused).toBe(4);
    expect(journal.stats().problem).toBeNull();
    expect(ids(drainAll(here.drain()).events)).toEqual([id]);
  });

  it("by losing the whole directory: the open segment's lines are written down again", () => {
    const here = place();
    const journal = here.journal();
    const appended = [appendEvent(journal), appendEvent(journal)];
    rmSync(here.root, { recursive: true });
    appended.push(appendEvent(journal));
    here.clock.forward(5_001);
    appended.push(appendEvent(journal));
    expect(here.told()).toEqual(["begun METER_JOURNAL_UNWRITABLE", "over METER_JOURNAL_UNWRITABLE"]);
    expect(here.names()).toEqual([journal.writer]);
    expect(ids(drainAll(here.drain()).events)).toEqual(sorted(appended));
  });

  it("by losing the directory for a while: nothing that was accepted is lost", () => {
    const here = place();
    const journal = here.journal();
    const accepted = [appendEvent(journal)];
    renameSync(here.root, `${here.root}.away`);
    writeFileSync(here.root, "in the way");
    here.clock.forward(5_001);
    expect(appendEvent(journal)).toBeNull();
    here.clock.forward(1_001);
    expect(appendEvent(journal)).toBeNull();
    rmSync(here.root);
    here.clock.forward(1_001);
    accepted.push(appendEvent(journal));
    expect(here.problems.at(-1)).toMatchObject({ phase: "over", refused: 2 });
    expect(ids(drainAll(here.drain()).events)).toEqual(sorted(accepted));
    // Mounted again where it was: the same file goes on.
    rmSync(here.root, { recursive: true });
    renameSync(`${here.root}.away`, here.root);
    expect(ids(drainAll(here.drain()).events)).toEqual(accepted.slice(0, 1));
  });

  it("by having no room for a new segment: the old one takes lines beyond its size", () => {
    const here = place();
    const journal = here.journal({ segmentBytesMax: 500 });
    // A directory in the way of the draft stops the next segment for root, too.
    mkdirSync(join(here.root, journal.writer, "00000002.journal.new"));
    const accepted = Array.from({ length: 20 }, () => appendEvent(journal));
    expect(accepted).not.toContain(null);
    expect(here.names(journal.writer)).not.toContain("00000002.journal");
    rmSync(join(here.root, journal.writer, "00000002.journal.new"), { recursive: true });
    accepted.push(appendEvent(journal));
    expect(here.names(journal.writer)).toContain("00000002.journal");
    expect(ids(drainAll(here.drain()).events)).toEqual(sorted(accepted));
  });

  it("for a listener that throws: the app is not touched", () => {
    const here = place();
    writeFileSync(here.root, "in the way");
    here.problems.push = () => {
      throw new Error("listener");
    };
    expect(appendEvent(here.journal())).toBeNull();
  });

  it("in the middle of a line, by a file size limit: the torn part is cut off, and what was accepted is all there", async () => {
    const here = place();
    // 64 KiB per file; each line that does not fit is refused, and the next one goes to a new segment.
    const { stdout } = await promisify(execFile)("bash", [
      "-c",
      'ulimit -f 64; exec "$0" "$@"',
      process.execPath,
      writerProgram,
      journalModule,
      here.root,
      JSON.stringify({ count: 2_000, bounds: { journalRetryMs: 0 } }),
    ]);
    const lines = stdout.trim().split("\n");
    const told: {
      stats: { written: number; refused: number };
      problems: string[];
    } = JSON.parse(lines.pop() ?? "");
    const { stats, problems } = told;
    expect(stats.written).toBe(lines.length);
    expect(stats.refused).toBe(2_000 - lines.length);
    expect(stats.refused).toBeGreaterThan(2);
    expect(problems[0]).toBe("begun METER_JOURNAL_UNWRITABLE EFBIG");
    expect(problems[1]).toBe("over METER_JOURNAL_UNWRITABLE EFBIG");
    expect(ids(drainAll(here.drain()).events)).toEqual(lines.toSorted());
    expect(here.problems).toEqual([]);
    expect(here.names()).toEqual([]);
  });

  it("to a drain: what cannot be read is told once, and stays", () => {
    const here = place();
    writeFileSync(here.root, "a file");
    const drain = here.drain();
    for (let at = 0; at < 3; at++) expect(drain.next(10).events).toEqual([]);
    expect(here.told()).toEqual(["noted METER_JOURNAL_DAMAGED"]);
    rmSync(here.root);
    const journal = here.journal();
    const id = appendEvent(journal);
    mkdirSync(join(here.root, journal.writer, "00000002.journal"));
    here.claim(journal.writer, { closedAt: 1 });
    expect(ids(drainAll(drain).events)).toEqual([id]);
    expect(here.told()).toHaveLength(2);
    expect(existsSync(join(here.root, journal.writer))).toBe(true);
  });

  it("makes folders that only its user can read, whatever stood there before", () => {
    const here = place();
    mkdirSync(here.root, { mode: 0o755 });
    chmodSync(here.root, 0o755);
    const journal = here.journal();
    expect(appendEvent(journal)).not.toBeNull();
    expect(here.names()).toEqual([journal.writer]);
  });
});

describe("group sync", () => {
  it("serves all who wait with one round, and those who come meanwhile with the next", async () => {
    const here = place();
    const journal = here.journal({}, "power");
    let rounds = 0;
    const sync = new GroupSync(() => void rounds++);
    const answers = Array.from({ length: 100 }, () => new Promise<unknown>((resolve) => sync.request(resolve)));
    expect(await Promise.all(answers)).toEqual(answers.map(() => null));
    expect(rounds).toBe(2);
    await sync.close();
    expect(journal.stats().problem).toBeNull();
  });

  it("tells everybody who waits when the disk refuses, and a waiter that throws harms nobody", async () => {
    const causes: unknown[] = [];
    const sync = new GroupSync((cause) => causes.push(cause));
    // No file has this number: fdatasync fails as it does on a broken disk.
    sync.follow(2 ** 30, null);
    sync.request(() => {
      throw new Error("waiter");
    });
    expect(await new Promise<unknown>((resolve) => sync.request(resolve))).toMatchObject({ code: "EBADF" });
    expect(causes).toHaveLength(2);
  });
});
