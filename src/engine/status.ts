import type { OutboxState, Store } from "./ports.ts";
import { reportEras, openUsage } from "./report-windows.ts";

/** One look at the whole chain; the contract of `meterbook status --json`. */
export interface Status {
  readonly events: number;
  /** Events of which at least one meter holds its share. */
  readonly held: number;
  /** Bytes of journals that are not in the store yet. */
  readonly backlog: number;
  /** Rows of the outbox; `pending` includes those under way, `dead` those in conflict. */
  readonly outbox: {
    readonly pending: number;
    readonly accepted: number;
    readonly dead: number;
    readonly held: number;
  };
  /** How long the oldest usage that should be at the biller has waited since its window ended, milliseconds; 0 = none waits. */
  readonly lag_ms: number;
  readonly conflicts: number;
  readonly last_event_at: number | null;
}

/** Reads the figures of a store; the backlog is the journals' and is given. */
export async function readStatus(
  store: Store,
  given: { readonly backlogBytes: number; readonly now: number },
): Promise<Status> {
  const { outbox, ...counts } = await store.counts();
  return {
    events: counts.events,
    held: counts.heldEvents,
    backlog: given.backlogBytes,
    outbox: {
      pending: outbox.pending + outbox.sending,
      accepted: outbox.accepted,
      dead: outbox.dead + outbox.conflict,
      held: outbox.held,
    },
    lag_ms: Math.max(0, given.now - (await oldestWaiting(store, given.now))),
    conflicts: counts.conflicts,
    last_event_at: counts.lastEventAt,
  };
}

/** End of the oldest ended window with usage that is not at the biller; `now` when there is none, or nothing is reported. */
async function oldestWaiting(store: Store, now: number): Promise<number> {
  const ends = [now];
  for (const state of WAITING) {
    const [row] = await store.outbox({ state, limit: 1 });
    if (row !== undefined) ends.push(row.windowEnd);
  }
  if ((await reportEras(store)) !== null) {
    const [oldest] = await openUsage(store, now, 1);
    if (oldest !== undefined) ends.push(oldest.windowEnd);
  }
  return Math.min(...ends);
}

/** Held usage waits for a person, not for time; it is counted beside. */
const WAITING: readonly OutboxState[] = ["pending", "sending"];
