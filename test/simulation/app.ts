import { join } from "node:path";

import type { UsageEvent } from "../../src/core/event.ts";
import { openJournal, type Journal } from "../../src/journal/journal.ts";
import { putWriterRecord, thisWriter } from "../../src/journal/writer-folder.ts";
import type { FaultPlan } from "./plan.ts";
import type { SeededRandom } from "../faults/seeded-random.ts";
import type { Actor, Scheduler } from "./scheduler.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export const COMPANIES = ["ada", "bob", "cyd"] as const;

/** What a sender knows: which events it handed over, and which of them were acknowledged. Kept outside of everything that can die. */
export interface Book {
  readonly attempted: Map<string, UsageEvent>;
  readonly acknowledged: Set<string>;
}

/** A pid that no kernel gives out: whoever has it is dead. */
const NO_PID = 2 ** 22 + 1;

/** One life of an app: its journal is real, in a real folder. */
export function openAppJournal(root: string, now: () => number, random: SeededRandom): Journal {
  return openJournal({
    root,
    durability: "process",
    clock: { now },
    random: (bytes) => Uint8Array.from({ length: bytes }, () => random.between(0, 256)),
    onProblem: () => undefined,
  });
}

/** What the kernel would say of it: the process that wrote this journal is gone. */
export function declareDead(root: string, journal: Journal, now: number): void {
  putWriterRecord(join(root, journal.writer), { ...thisWriter(now, null), pid: NO_PID, startTicks: null });
}

export interface AppOptions {
  readonly actor: Actor;
  readonly scheduler: Scheduler;
  readonly journal: Journal;
  readonly book: Book;
  readonly plan: FaultPlan;
  readonly random: SeededRandom;
  readonly until: number;
}

/** Answers requests now and then, until the troubled time is over; some events come twice, some come late. */
export async function runApp({ actor, scheduler, journal, book, plan, random, until }: AppOptions): Promise<void> {
  while (scheduler.now < until) {
    await scheduler.turn(actor, "request", random.between(1, 120) * MINUTE);
    const now = scheduler.now + actor.skewMs;
    for (let left = random.between(1, 5); left > 0; left--) {
      const known = [...book.attempted.values()];
      const event =
        known.length > 0 && random.next() < plan.duplicateRate
          ? random.pick(known)
          : newEvent(`e${book.attempted.size}`, now, plan, random);
      book.attempted.set(event.id, event);
      if (journal.append(JSON.stringify({ kind: "event", event, open: [] }))) book.acknowledged.add(event.id);
    }
  }
}

function newEvent(id: string, now: number, plan: FaultPlan, random: SeededRandom): UsageEvent {
  const lateMs = random.next() < plan.lateRate ? random.between(1, 21) * HOUR : 0;
  return {
    source: "sim",
    id,
    type: "http.request",
    time: now - lateMs,
    company: random.pick(COMPANIES),
    user: null,
    request: { method: "POST", route: "/chat", path: "/chat" },
    response: {
      status: 200,
      headers: { "x-tokens-used": `${random.between(0, 5_000 + 1)}.${random.between(0, 100)}` },
    },
    metadata: { model: "small" },
  };
}
