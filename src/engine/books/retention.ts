import type { Settings } from "../../config/settings.ts";
import { bucketFold } from "../../core/bucket-fold.ts";
import type { Catalog } from "../../core/catalog.ts";
import { owns } from "../../core/own-member.ts";
import type { CountedValue } from "../../core/usage.ts";
import { settle } from "../ingest/amended-event.ts";
import { limits } from "../limits.ts";
import { isReported } from "../outbox/closing.ts";
import type { OutboxState, Store, StoredEvent } from "../ports.ts";
import { countedValues } from "../ingest/refold.ts";
import { openUsage, reportEras } from "../outbox/report-windows.ts";
import { FORGET_FIRST, forgetBatch, type ForgetPlace } from "./forgetting.ts";

type PurgeSettings = Pick<Settings, "storage" | "billing">;

/** Where a look for what is old has come to: first the events, by event time, then arrival; then what is kept beside them. */
export type PurgePlace = EventPlace | ForgetPlace;

interface EventPlace {
  readonly time: number;
  readonly seq: number;
}

/**
 * Deletes the events older than `keepEvents` and keeps their usage for ever as archived buckets. An event that is held,
 * or in a window that is not wholly at the biller, stays, and nothing else stays because of it: what is not billed is
 * explainable. Then forgets what is kept beside events for a time (forgetBatch). Answers how many events were deleted.
 */
export async function purgeExpired(
  store: Store,
  catalog: Catalog,
  settings: PurgeSettings,
  now: number,
): Promise<number> {
  let purged = 0;
  let place: PurgePlace | null = null;
  do {
    const batch: PurgedBatch = await purgeBatch(store, catalog, settings, now, place);
    purged += batch.purged;
    place = batch.next;
  } while (place !== null);
  return purged;
}

export interface PurgedBatch {
  readonly purged: number;
  /** Where the next batch begins; null = all that could be old was looked at. */
  readonly next: PurgePlace | null;
}

/** One batch of purgeExpired, after the given place. */
export async function purgeBatch(
  store: Store,
  catalog: Catalog,
  settings: PurgeSettings,
  now: number,
  place: PurgePlace | null,
): Promise<PurgedBatch> {
  const { keepEventsMs } = settings.storage;
  if (place !== null && owns(place, "kind"))
    return { purged: 0, next: await forgetBatch(store, keepEventsMs, now, place) };
  if (keepEventsMs === null) return { purged: 0, next: FORGET_FIRST };
  const page = await store.eventsInSpan({
    to: now - keepEventsMs,
    after: place ?? undefined,
    unheld: true,
    limit: limits.batchEventsMax,
  });
  const [first, last] = [page[0], page.at(-1)];
  if (first === undefined || last === undefined) return { purged: 0, next: FORGET_FIRST };
  const mustStay = await unreportedUsage(store, catalog, settings, first.event.time, last.event.time);
  const fold = bucketFold();
  const expired: StoredEvent[] = [];
  for (const stored of page) {
    const settled = settle(catalog, stored);
    const values = countedValues(settled, stored.seq, catalog, store.bucketMs);
    if (settled.verdicts.some(({ kind }) => kind === "held")) continue;
    if (mustStay(settled.event.company, settled.event.time, values)) continue;
    fold.add(values);
    expired.push(stored);
  }
  const amendments = expired.reduce((sum, stored) => sum + stored.amendments.length, 0);
  const seqs = expired.map(({ seq }) => seq);
  const purged = seqs.length === 0 ? 0 : await store.purge(seqs, fold.buckets(), amendments, catalog.revision);
  const isLast = page.length < limits.batchEventsMax;
  return { purged, next: isLast ? FORGET_FIRST : { time: last.event.time, seq: last.seq } };
}

type MustStay = (company: string | null, time: number, values: readonly CountedValue[]) => boolean;

interface OpenSpan {
  readonly meter: string;
  readonly start: number;
  readonly end: number;
}

/** Tells events from `from` to `to`, both included, of which some usage is not wholly at the biller. */
async function unreportedUsage(
  store: Store,
  catalog: Catalog,
  { billing }: Pick<Settings, "billing">,
  from: number,
  to: number,
): Promise<MustStay> {
  const eras = await reportEras(store);
  const isReporting = billing.stripe !== null && billing.stripe.apiKey !== null;
  const reported = new Set(catalog.meters.filter(isReported).map(({ key }) => key));
  // Reporting that never ran has no windows yet: everything is unreported.
  if (eras === null) return (_company, _time, values) => isReporting && values.some(({ meter }) => reported.has(meter));
  const { spans, knownTo } = await openSpans(store, from, to + 1, Math.max(...eras.map(({ windowMs }) => windowMs)));
  return (company, time, values) => {
    const meters = new Set(values.map(({ meter }) => meter).filter((meter) => reported.has(meter)));
    if (meters.size > 0 && time >= knownTo) return true;
    // A meter that left the file may have counted the event too.
    const isOwed = (meter: string): boolean => meters.has(meter) || catalog.aggregateOf(meter) === null;
    const open = company === null ? [] : (spans.get(company) ?? []);
    return open.some(({ meter, start, end }) => time >= start && time < end && isOwed(meter));
  };
}

/** Windows that are not wholly at the biller, by company; from `knownTo` on there may be more than were read. */
async function openSpans(
  store: Store,
  from: number,
  to: number,
  windowMs: number,
): Promise<{ readonly spans: ReadonlyMap<string, readonly OpenSpan[]>; readonly knownTo: number }> {
  const spans = new Map<string, OpenSpan[]>();
  let knownTo = Number.POSITIVE_INFINITY;
  const add = (windows: readonly OpenWindow[]): void => {
    for (const { meter, company, windowStart: start, windowEnd: end } of windows) {
      const known = spans.get(company);
      if (known === undefined) spans.set(company, [{ meter, start, end }]);
      else known.push({ meter, start, end });
    }
    if (windows.length >= limits.heldRowsMax) knownTo = Math.min(knownTo, windows.at(-1)?.windowStart ?? knownTo);
  };
  add(await openUsage(store, to + windowMs, limits.heldRowsMax));
  for (const state of UNSETTLED)
    add(await store.outbox({ state, windowFrom: from, windowTo: to, limit: limits.heldRowsMax }));
  return { spans, knownTo };
}

interface OpenWindow {
  readonly meter: string;
  readonly company: string;
  readonly windowStart: number;
  readonly windowEnd: number;
}

const UNSETTLED: readonly OutboxState[] = ["held", "pending", "sending", "dead", "conflict"];
