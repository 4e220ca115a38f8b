import { limits } from "../engine/limits.ts";
import type { Clock } from "../engine/ports.ts";
import type { Drain } from "./drain.ts";
import { Handout } from "./handout.ts";
import { isEntry } from "./line.ts";
import { OpenEvents } from "./open-events.ts";

/** The drain of a journal in memory: joins amendments and repeats what was rolled back, exactly as over files. */
export interface MemoryDrain extends Drain {
  /** Adds lines that `MemoryJournal.take` handed over. */
  push(lines: readonly string[]): void;
  /** Says that no more lines will come: open events are given out with what is known. */
  end(): void;
}

/** Opens a drain that is fed by `push`. A line that is no JournalEntry throws in `next`: it is our own mistake. */
export function openMemoryDrain(options: { readonly clock: Clock; readonly openPartsWaitMs?: number }): MemoryDrain {
  const { clock, openPartsWaitMs = limits.openPartsWaitMs } = options;
  const handout = new Handout();
  const open = new OpenEvents(handout, () => undefined);
  let lines: string[] = [];
  let ended = false;
  let uncommittedBytes = 0;

  return {
    push(more) {
      lines.push(...more);
      uncommittedBytes += more.reduce((sum, line) => sum + line.length, 0);
    },
    end() {
      ended = true;
    },
    next(limit) {
      if (handout.waitsToRepeat) return handout.repeat(limit);
      const now = clock.now();
      let read = 0;
      while (read < lines.length && handout.filled < limit) {
        const entry: unknown = JSON.parse(lines[read++] ?? "");
        if (!isEntry(entry)) throw new TypeError("a line in memory is not a journal entry");
        open.add(entry, null, now);
      }
      lines = lines.slice(read);
      if (lines.length === 0) open.part((_, since) => ended || now - since >= openPartsWaitMs, limit - handout.filled);
      return handout.take();
    },
    commit() {
      handout.commit();
      if (!handout.outstanding && open.size === 0) uncommittedBytes = lines.reduce((sum, line) => sum + line.length, 0);
    },
    rollback: () => handout.rollback(),
    backlog() {
      const times = [open.oldestTime, handout.oldestTime].filter((time) => time !== null);
      const oldestMs = times.length === 0 ? null : Math.max(0, clock.now() - Math.min(...times));
      return { bytes: uncommittedBytes, openEvents: open.size, oldestMs };
    },
  };
}
