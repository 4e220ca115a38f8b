import { limits } from "../limits.ts";
import type { Clock } from "../ports.ts";
import type { QueryProgress } from "./meter-question.ts";

/** How far the questions are that were given an id. */
export interface ProgressBook {
  /** The first note of an id begins its time. */
  note(id: string, read: number, total: number): void;
  /** The question has its answer, or failed. */
  end(id: string): void;
  /** Null for an id that was never given, or is forgotten: the newest are kept, so many as limits.queryProgressMax. */
  of(id: string): QueryProgress | null;
}

/** An empty book; `clock` says when. */
export function progressBook(clock: Clock): ProgressBook {
  const known = new Map<string, QueryProgress>();
  const put = (id: string, progress: QueryProgress): void => {
    // What was written last stands last, so the first is the one to forget.
    known.delete(id);
    known.set(id, progress);
    const [oldest] = known.keys();
    if (known.size > limits.queryProgressMax && oldest !== undefined) known.delete(oldest);
  };
  return {
    note: (id, read, total) => {
      const now = clock.now();
      const before = known.get(id);
      const startedAt = before === undefined || before.isDone ? now : before.startedAt;
      put(id, { read, total, startedAt, updatedAt: now, isDone: false });
    },
    end: (id) => {
      const before = known.get(id);
      if (before !== undefined) put(id, { ...before, updatedAt: clock.now(), isDone: true });
    },
    of: (id) => known.get(id) ?? null,
  };
}
