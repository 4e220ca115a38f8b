import { MeterbookError } from "../../core/errors.ts";
import { localStripeBounds } from "./bounds.ts";
import { clockMs, type LocalState } from "./state.ts";

/** Work that waits for its time: period closes, finalisations, validations, error reports. */
interface DueJob {
  readonly dueMs: number;
  readonly run: () => void;
}

export interface Agenda {
  /** By time, equal times as they were scheduled. */
  readonly jobs: DueJob[];
  /** The moment at which the running job was due; null = none runs. */
  momentMs: number | null;
}

/** Schedules work. It runs once its time is past and the local Stripe is next called, read or moved. */
export function schedule(state: LocalState, dueMs: number, run: () => void): void {
  const { jobs } = state.agenda;
  let place = jobs.length;
  while (place > 0 && (jobs[place - 1]?.dueMs ?? 0) > dueMs) {
    place -= 1;
  }
  jobs.splice(place, 0, { dueMs, run });
}

/** Runs all that is due, in order of time; meanwhile this Stripe's time is the moment at which each was due. */
export function runDue(state: LocalState): void {
  const { agenda } = state;
  if (agenda.momentMs !== null) {
    return;
  }
  try {
    const limitMs = clockMs(state);
    for (let ran = 0; (agenda.jobs[0]?.dueMs ?? Number.POSITIVE_INFINITY) <= limitMs; ran += 1) {
      if (ran >= localStripeBounds.dueRunsMax) {
        throw new MeterbookError("METER_OPTION_INVALID", `The local Stripe's clock made ${String(ran)} jobs due.`, {
          remedy: "Move it in smaller steps, or use longer billing intervals.",
        });
      }
      const job = agenda.jobs.shift();
      agenda.momentMs = Math.max(agenda.momentMs ?? Number.NEGATIVE_INFINITY, job?.dueMs ?? limitMs);
      job?.run();
    }
  } finally {
    agenda.momentMs = null;
  }
}

/** Moves the clock by `ms`, back with a negative number, and runs what became due. Returns the new time. */
export function moveClock(state: LocalState, ms: number): number {
  if (!Number.isSafeInteger(ms)) {
    throw new MeterbookError("METER_OPTION_INVALID", `A clock moves by whole milliseconds, not by ${String(ms)}.`);
  }
  state.clockOffsetMs += ms;
  runDue(state);
  return clockMs(state);
}
