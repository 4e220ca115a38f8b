import { limits } from "../limits.ts";
import type { BillerLane, Drift, Reconciliation, Store } from "../ports.ts";

/** A lane that is to be compared now, with when that was done last. */
export interface LaneDue extends BillerLane {
  readonly before: Reconciliation | null;
}

/** The text that names a lane. */
export function laneName({ customer, reportAs }: BillerLane): string {
  return JSON.stringify([customer, reportAs]);
}

/** All lanes with reports that the biller would still take back or again. */
export async function allLanes(store: Store, now: number): Promise<readonly LaneDue[]> {
  const known = new Map((await store.reconciliations()).map((each) => [laneName(each), each]));
  const lanes = await store.reportedLanes({ from: now - limits.reportAgeMaxMs, to: now + limits.futureMs });
  return lanes.map(({ customer, reportAs }) => {
    const lane = { customer, reportAs };
    return { ...lane, before: known.get(laneName(lane)) ?? null };
  });
}

/**
 * Lanes that are due: those whose invoice is about to be final first, then the ones that were compared longest ago, so that
 * a budget which does not reach for all goes round.
 */
export async function lanesDue(store: Store, now: number, graceMs: number): Promise<readonly LaneDue[]> {
  const urgent = await aboutToBeFinal(store, now, graceMs);
  const missing = new Map((await store.drifts()).filter(isAwaited).map((drift) => [laneName(drift), drift]));
  const due: (LaneDue & { readonly rank: number })[] = [];
  for (const lane of await allLanes(store, now)) {
    const { before } = lane;
    const checkedAt = before === null || before.checkedAt > now ? 0 : before.checkedAt;
    const finalFrom = urgent.get(laneName(lane));
    if (finalFrom !== undefined && checkedAt < finalFrom) due.push({ ...lane, rank: -1 });
    else if (checkedAt + pauseMs(checkedAt, missing.get(laneName(lane))) <= now) due.push({ ...lane, rank: checkedAt });
  }
  return due.toSorted((a, b) => a.rank - b.rank);
}

/** Missing reports whose second reading decides. */
function isAwaited({ verdict, rowIds }: Drift): boolean {
  return verdict === "missing" && rowIds.length > 0;
}

/** What is missing is read again soon, then after twice the time that has passed since it was found. */
function pauseMs(checkedAt: number, missing: Drift | undefined): number {
  if (missing === undefined) return limits.reconcileEveryMs;
  return Math.min(limits.reconcileEveryMs, Math.max(limits.reconcileAgainMs, checkedAt - missing.foundAt));
}

/** Lanes with a period whose invoice is final soon, and from when on a comparison counts for that. */
async function aboutToBeFinal(store: Store, now: number, graceMs: number): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for (const period of await store.periods()) {
    const finalAt = period.to + graceMs;
    const from = finalAt - limits.reconcileBeforeFinalMs;
    if (now >= from && now < finalAt) found.set(laneName(period), from);
  }
  return found;
}
