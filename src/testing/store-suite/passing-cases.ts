import { limits } from "../../engine/limits.ts";
import type { AttemptOutcome, OutboxRow } from "../../engine/ports.ts";
import { claim, onlyClaim } from "./outbox-cases.ts";
import { counted, enqueueAll, HOUR, HOUR_MS, type CaseTools, type StoreCase } from "./store-case.ts";

const MINUTE_MS = 60_000;

/** Two rows of one lane; answers the first, under a lease. */
async function firstOfTwo(tools: CaseTools, now: number): Promise<{ readonly row: OutboxRow; readonly token: string }> {
  await tools.store.ingest([counted({ id: "a" }, 5), counted({ id: "b", time: HOUR + HOUR_MS }, 3)], HOUR);
  await enqueueAll(tools.store);
  return onlyClaim(tools, now);
}

/** Tries the first of two rows at an instant; at the next it is looked at again and ends so. */
async function tryFirst(tools: CaseTools, now: number, outcome: AttemptOutcome): Promise<void> {
  const { row, token } = await firstOfTwo(tools, now);
  await tools.store.beginAttempt(row.rowId, token, now);
  const retry = { kind: "retry", reason: "no answer", nextAttemptAt: now + 1, requestId: null } as const;
  await tools.store.settle(row.rowId, token, retry, now);
  const again = await onlyClaim(tools, now + 1);
  await tools.store.settle(row.rowId, again.token, outcome, now + 1);
}

/** Window starts that can be claimed, in hours after the first. */
async function claimable({ store }: CaseTools, now: number): Promise<readonly number[]> {
  return (await claim(store, now)).map(({ row }) => (row.windowStart - HOUR) / HOUR_MS);
}

function wait(nextAttemptAt: number): AttemptOutcome {
  return { kind: "wait", reason: "the books cannot be read", nextAttemptAt };
}

/** Whether a row that waits keeps the later ones of its lane: the edges of letsOthersPass. */
export const passingCases: readonly StoreCase[] = [
  {
    title: "lets no later report pass one that waits and was never tried",
    run: async (tools) => {
      const { row, token } = await firstOfTwo(tools, HOUR);
      await tools.store.settle(row.rowId, token, wait(HOUR + 10 * MINUTE_MS), HOUR);
      tools.same(await claimable(tools, HOUR + MINUTE_MS), []);
      tools.same(await claimable(tools, HOUR + 10 * MINUTE_MS), [0]);
    },
  },
  {
    title: "lets later reports pass one from the instant on at which it is too old to be sent again",
    run: async (tools) => {
      const edge = HOUR + limits.resendSafeMs;
      await tryFirst(tools, HOUR, wait(HOUR + 2));
      const { row, token } = await onlyClaim(tools, HOUR + 2);
      await tools.store.settle(row.rowId, token, wait(edge + limits.retryAfterMaxMs / 2), HOUR + 2);
      tools.same(await claimable(tools, edge - limits.retryAfterMaxMs / 4), []);
      tools.same(await claimable(tools, edge - 1), []);
      tools.same(await claimable(tools, edge), [1]);
    },
  },
  {
    title: "lets later reports pass one that was tried under a clock ahead: nobody knows when that was",
    run: async (tools) => {
      const ahead = HOUR + 30 * MINUTE_MS;
      await tryFirst(tools, ahead, wait(ahead + MINUTE_MS));
      tools.same(await claimable(tools, ahead), []);
      tools.same(await claimable(tools, ahead - 1), [1]);
    },
  },
  {
    title: "takes a report that waits far too long for due, and lets nothing pass it",
    run: async (tools) => {
      const nextAttemptAt = HOUR + 10 * limits.retryAfterMaxMs;
      await tryFirst(tools, HOUR, { kind: "absent", reason: "not in the books", nextAttemptAt });
      tools.same(await claimable(tools, HOUR + MINUTE_MS), [0]);
    },
  },
];
