import { limits } from "../limits.ts";
import type { ForgetKind, Store } from "../ports.ts";

/** Where forgetting has come to: kind after kind, each from its oldest. */
export interface ForgetPlace {
  readonly kind: ForgetKind;
  readonly after: number | null;
}

const KINDS: readonly ForgetKind[] = ["once", "conflict", "attempt", "change", "session"];

/** Where forgetting begins. */
export const FORGET_FIRST: ForgetPlace = { kind: "once", after: null };

/**
 * One batch of forgetting what is kept beside events for a time; answers where the next begins, null when all was looked
 * at. Names of what was done once go after limits.onceKeptMs. Refused events, and the history of reports that are at the
 * biller, and finished sessions go with the events of their age (`keepEventsMs`, null = never) and after limits.historyKeptMinMs at the earliest.
 */
export async function forgetBatch(
  store: Pick<Store, "forget">,
  keepEventsMs: number | null,
  now: number,
  { kind, after }: ForgetPlace,
): Promise<ForgetPlace | null> {
  const keptMs = keptFor(kind, keepEventsMs);
  if (keptMs !== null) {
    const { next } = await store.forget({ kind, before: now - keptMs, after, limit: limits.forgetBatchMax });
    if (next !== null) return { kind, after: next };
  }
  const following = KINDS[KINDS.indexOf(kind) + 1];
  return following === undefined ? null : { kind: following, after: null };
}

function keptFor(kind: ForgetKind, keepEventsMs: number | null): number | null {
  if (kind === "once") return limits.onceKeptMs;
  return keepEventsMs === null ? null : Math.max(keepEventsMs, limits.historyKeptMinMs);
}
