import { createHash } from "node:crypto";

import { periodName } from "./billing-periods.ts";
import { itemOf, type BilledPeriod, type BillerLane, type CustomerPeriods } from "../ports.ts";

/** Another name = the periods are others. Empty = there is none. */
export function nameOfPeriods(periods: readonly BilledPeriod[]): string {
  if (periods.length === 0) return "";
  const text = JSON.stringify(periods.map((period) => [itemOf(period), period.from, period.to, period.renews]));
  return createHash("sha256").update(text).digest("base64url");
}

/**
 * What was told now goes before what is stored of the same periods. The earlier ones only fill what no stored period of their
 * item covers: where those ended is a guess, and would make usage late that is in time.
 */
export function withTold(
  known: readonly BilledPeriod[],
  { present, earlier }: CustomerPeriods,
  { reportAs }: BillerLane,
): readonly BilledPeriod[] {
  const own = present.filter((period) => period.reportAs === reportAs);
  const told = new Set(own.map(periodName));
  const kept = known.filter((period) => !told.has(periodName(period)));
  const before = earlier.filter((period) => period.reportAs === reportAs).flatMap((period) => uncovered(period, kept));
  return [...before, ...kept, ...own];
}

/** What of a period no other one of its item covers. */
function uncovered(period: BilledPeriod, others: readonly BilledPeriod[]): readonly BilledPeriod[] {
  let parts: readonly BilledPeriod[] = [period];
  for (const other of others) {
    if (itemOf(other) !== itemOf(period) || other.from >= other.to) continue;
    parts = parts
      .flatMap((part) => [
        { ...part, to: Math.min(part.to, other.from) },
        { ...part, from: Math.max(part.from, other.to) },
      ])
      .filter(({ from, to }) => from < to);
  }
  return parts;
}
