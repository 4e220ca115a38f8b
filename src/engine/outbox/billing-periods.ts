import { limits } from "../limits.ts";
import { itemOf, type BilledPeriod, type BillerLane, type Store, type UsageReporter } from "../ports.ts";

/** What is known of the billing periods of a lane. */
export type PeriodsOf = (lane: BillerLane) => Promise<readonly BilledPeriod[]>;

const NOTE = "periods.read_at";

/**
 * The present billing periods as the biller tells them, read into the store once an hour. They stay there for ever, since
 * the biller tells only the present ones, and late usage belongs to an earlier one. Throws as the reporter does.
 */
export async function refreshPeriods(
  store: Store,
  reporter: Pick<UsageReporter, "periods">,
  now: number,
): Promise<readonly BilledPeriod[]> {
  const present = await reporter.periods();
  const readAt = Number((await store.getNote(NOTE)) ?? Number.NaN);
  if (hourOf(readAt) === hourOf(now)) return present;
  if (present.length > 0) await store.putPeriods([...cutShort(await store.periods(), present, now), ...present]);
  await store.putNote(NOTE, String(now));
  return present;
}

/**
 * Known periods that are told no more since a new one began before their end, as by a new billing anchor: they ended there.
 * Else they would hold usage of the new period too, and make it late once their own end has passed. Another item's new
 * period ends one only where its own item is gone. An item that is told no more, though its period is not over, was taken out
 * of its subscription, and its period comes to no invoice, as that of a subscription which was ended at once: what is not
 * reported of it yet is held, after the customer was asked, and goes out when the item is told again. What ended with its
 * subscription is told for as long as the biller takes usage of it, and is over by then.
 */
function cutShort(
  known: readonly BilledPeriod[],
  present: readonly BilledPeriod[],
  now: number,
): readonly BilledPeriod[] {
  const knownNames = new Set(known.map(periodName));
  const told = new Set(present.map(periodName));
  const items = new Set(present.map(itemKeyOf));
  const begun = new Map<string, BilledPeriod[]>();
  for (const period of present)
    if (!knownNames.has(periodName(period))) begun.set(keyOf(period), [...(begun.get(keyOf(period)) ?? []), period]);
  return known.flatMap((period) => {
    const isGone = !items.has(itemKeyOf(period));
    const inside = (begun.get(keyOf(period)) ?? [])
      .filter(({ from }) => period.from < from && from < period.to)
      .filter((next) => isGone || itemOf(next) === itemOf(period))
      .map(({ from }) => from);
    if (told.has(periodName(period))) return [];
    if (inside.length > 0) return [{ ...period, to: Math.min(...inside) }];
    return isGone && now < period.to ? [{ ...period, to: period.from, renews: false }] : [];
  });
}

/** What names a period: its lane, subscription item and start. */
export function periodName(period: BilledPeriod): string {
  return JSON.stringify([itemKeyOf(period), period.from]);
}

function itemKeyOf(period: BilledPeriod): string {
  return JSON.stringify([keyOf(period), itemOf(period)]);
}

/** The hour of the clock, from the minute on at which periods are read again. */
function hourOf(at: number): number {
  return Math.floor((at - limits.periodsAfterHourMs) / limits.reporterPeriodsMs);
}

/** The stored periods of each lane, read once, with what the biller told since. */
export function periodsOf(store: Pick<Store, "periods">, told: readonly BilledPeriod[] = []): PeriodsOf {
  const known = new Map<string, Promise<readonly BilledPeriod[]>>();
  const newer = new Map<string, BilledPeriod[]>();
  for (const period of told) newer.set(keyOf(period), [...(newer.get(keyOf(period)) ?? []), period]);
  const read = async ({ customer, reportAs }: BillerLane, own: readonly BilledPeriod[]) => {
    const stored = await store.periods({ customer, reportAs });
    const names = new Set(own.map(periodName));
    return [...stored.filter((period) => !names.has(periodName(period))), ...own];
  };
  return (lane) => {
    const key = keyOf(lane);
    const periods = known.get(key) ?? read(lane, newer.get(key) ?? []);
    known.set(key, periods);
    return periods;
  };
}

function keyOf({ customer, reportAs }: BillerLane): string {
  return JSON.stringify([customer, reportAs]);
}

/** The instants at which a lane's usage goes to another invoice. */
export function boundariesOf(periods: readonly BilledPeriod[]): readonly number[] {
  return periods.flatMap(({ from, to }) => [from, to]);
}

/** The periods that hold an instant. One between two that were never told belongs to the one that renewed into the later. */
export function periodsAt(periods: readonly BilledPeriod[], timestamp: number): readonly BilledPeriod[] {
  const holding = periods.filter(({ from, to }) => from <= timestamp && timestamp < to);
  if (holding.length > 0) return holding;
  const earlier = periods
    .filter(({ to }) => to <= timestamp)
    .toSorted((a, b) => a.to - b.to)
    .at(-1);
  const later = periods
    .filter(({ from }) => from > timestamp)
    .toSorted((a, b) => a.from - b.from)
    .at(0);
  if (earlier?.renews !== true || later === undefined) return [];
  return [{ ...earlier, from: earlier.to, to: later.from }];
}

/**
 * Whether usage of this event time comes too late for its invoice: one of its periods ended so long ago that the biller
 * finalises, or is about to. False where no period is known, since then nothing says so.
 */
export function isInvoiceFinal(
  periods: readonly BilledPeriod[],
  timestamp: number,
  now: number,
  graceMs: number,
): boolean {
  return periodsAt(periods, timestamp).some(({ to }) => to < now - graceMs + limits.finalSafetyMs);
}

/** The period that runs now; the one that began last where several do. Null when nothing is billed now. */
export function currentPeriod(periods: readonly BilledPeriod[], now: number): BilledPeriod | null {
  return (
    periods
      .filter(({ from, to }) => from <= now && now < to)
      .toSorted((a, b) => a.from - b.from)
      .at(-1) ?? null
  );
}
