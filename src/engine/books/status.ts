import { laneName } from "../reconciliation/lanes-due.ts";
import type { Drift, OutboxState, Store } from "../ports.ts";
import { reportEras, openUsage } from "../outbox/report-windows.ts";
import { isInShadow } from "../outbox/shadow.ts";
import { unsubscribedLanes } from "../outbox/unsubscribed.ts";

/** One look at the whole chain; the contract of `meterbook status --json`. */
export interface Status {
  readonly events: number;
  /** Events of which at least one meter holds its share. */
  readonly held: number;
  /** Bytes of journals that are not in the store yet. */
  readonly backlog: number;
  /** Rows of the outbox; `pending` includes those under way, `accepted` the settled ones, `dead` those in conflict. */
  readonly outbox: {
    readonly pending: number;
    readonly accepted: number;
    readonly settled: number;
    readonly dead: number;
    readonly conflict: number;
    readonly held: number;
  };
  /** Whose usage is held because no subscription bills it, on which of the biller's meters, in how many rows. */
  readonly no_subscription: readonly {
    readonly company: string;
    /** Null while it is not known who pays for the company. */
    readonly customer: string | null;
    readonly meter: string;
    readonly rows: number;
  }[];
  /** How long the oldest usage that should be at the biller has waited since its window ended, milliseconds; 0 = none waits. */
  readonly lag_ms: number;
  /** Where the biller's books differ from what was sent: customers and meters, differences, and those among them by verdict. */
  readonly drift: {
    readonly lanes: number;
    readonly differences: number;
    readonly missing: number;
    readonly surplus: number;
    /** Equal as far as the biller's doubles can tell. */
    readonly inexact: number;
  };
  /** True = nothing is sent on purpose; what counts as accepted since then is what would have been sent. */
  readonly shadow: boolean;
  readonly conflicts: number;
  readonly last_event_at: number | null;
}

/** Reads the figures of a store; the backlog is the journals' and is given. */
export async function readStatus(
  store: Store,
  given: { readonly backlogBytes: number; readonly now: number; readonly shadow?: boolean },
): Promise<Status> {
  const { outbox, ...counts } = await store.counts();
  return {
    events: counts.events,
    held: counts.heldEvents,
    backlog: given.backlogBytes,
    outbox: {
      pending: outbox.pending + outbox.sending,
      accepted: outbox.accepted + outbox.settled,
      settled: outbox.settled,
      dead: outbox.dead + outbox.conflict,
      conflict: outbox.conflict,
      held: outbox.held,
    },
    no_subscription: (await unsubscribedLanes(store)).map(({ company, customer, reportAs, rows }) => ({
      company,
      customer,
      meter: reportAs,
      rows,
    })),
    lag_ms: Math.max(0, given.now - (await oldestWaiting(store, given.now))),
    drift: driftOf(await store.drifts()),
    shadow: given.shadow ?? (await isInShadow(store)),
    conflicts: counts.conflicts,
    last_event_at: counts.lastEventAt,
  };
}

function driftOf(drifts: readonly Drift[]): Status["drift"] {
  const count = (wanted: Drift["verdict"]): number => drifts.filter(({ verdict }) => verdict === wanted).length;
  return {
    lanes: new Set(drifts.map(laneName)).size,
    differences: drifts.length,
    missing: count("missing"),
    surplus: count("surplus"),
    inexact: count("inexact"),
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
