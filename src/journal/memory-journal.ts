import { MeterbookError } from "../core/errors.ts";
import { limits } from "../engine/limits.ts";
import type { Clock } from "../engine/ports.ts";
import type { Journal, JournalStats } from "./journal.ts";
import { Episode, type ProblemListener } from "./problem.ts";
import { writerName } from "./writer-folder.ts";

/** A journal that keeps its lines in memory (`durability: memory`) until they are taken. */
export interface MemoryJournal extends Journal {
  /** Hands over the oldest lines, each one JournalEntry's JSON; they are the caller's from then on. */
  take(linesMax?: number): string[];
  /** Lines that wait to be taken. */
  readonly waiting: number;
}

export interface MemoryJournalOptions {
  /** Lines kept; the newest beyond it are refused and counted. */
  readonly limit?: number;
  readonly clock: Clock;
  readonly random: (bytes: number) => Uint8Array;
  readonly onProblem: ProblemListener;
}

/** Opens a journal without a disk: what was not taken is lost with the process. */
export function openMemoryJournal(options: MemoryJournalOptions): MemoryJournal {
  const { limit = limits.memoryEventsMax } = options;
  const writer = writerName(options.clock.now(), options.random);
  const full = new Episode(options.onProblem);
  const closed = new MeterbookError("METER_JOURNAL_UNWRITABLE", "The journal in memory is closed.");
  let lines: string[] = [];
  let open = true;
  let ids = 0;
  let [written, refused, bytes, backlogBytes] = [0, 0, 0, 0];

  const append = (json: string): boolean => {
    if (open && lines.length < limit) {
      lines.push(json);
      written++;
      bytes += json.length;
      backlogBytes += json.length;
      full.end();
      return true;
    }
    refused++;
    if (!open) return false;
    full.begin(fullError(limit));
    full.refuse();
    return false;
  };

  return {
    writer,
    get waiting() {
      return lines.length;
    },
    append,
    nextId: () => `${writer}-${(ids++).toString(36)}`,
    appendDurable(json, done) {
      if (append(json)) process.nextTick(done);
      else process.nextTick(done, full.error ?? closed);
    },
    take(linesMax = lines.length) {
      const taken = lines.slice(0, linesMax);
      lines = lines.slice(linesMax);
      backlogBytes -= taken.reduce((sum, line) => sum + line.length, 0);
      return taken;
    },
    sync: () => Promise.resolve(),
    stats: (): JournalStats => ({ written, refused, bytes, backlogBytes, problem: full.error }),
    close() {
      open = false;
      return Promise.resolve();
    },
  };
}

function fullError(limit: number): MeterbookError {
  return new MeterbookError(
    "METER_BACKLOG_FULL",
    `The journal in memory holds ${limit} lines; further usage is refused and counted.`,
    {
      remedy: "Look why the worker does not store events, or use `durability: process`, which keeps them on disk.",
    },
  );
}
