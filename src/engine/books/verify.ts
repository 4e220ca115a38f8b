import { isAdditive } from "../../core/aggregation.ts";
import type { Catalog } from "../../core/catalog.ts";
import { uncovered } from "../../core/bucket-fold.ts";
import { formatDecimal, fromInteger, type Decimal } from "../../core/decimal.ts";
import type { Bucket, BucketKey } from "../../core/usage.ts";
import { assertNewest } from "../ingest/catalog-versions.ts";
import type { LaneTotals, OutboxState, OutboxTotals, Store, StoreView } from "../ports.ts";
import { accountedMeters, dayDifferences, differencesOf, readAccount } from "./rebuild.ts";
import { catchUp, recount, type OnProgress, type Recount } from "../ingest/refold.ts";
import { dueByMeter } from "../outbox/report-windows.ts";
import { withSnapshot } from "./snapshot.ts";

/** accepted = reported + due + held + refused, as exact decimal text. */
export interface MeterSums {
  /** Everything counted or held with a known value, recomputed from the events (and the archive of purged ones). */
  readonly accepted: string;
  /** Usage that reports at the biller cover: accepted ones, settled or not yet, less what was cancelled. */
  readonly reported: string;
  /** Counted and not at the biller yet, on its way included; also what was closed while the meter was not reported. */
  readonly due: string;
  /** Held events with a known value, and held reports. */
  readonly held: string;
  /** Usage of reports that the biller refused or whose outcome a person must decide. */
  readonly refused: string;
  /** The part of `reported` that shadow mode did not send. */
  readonly shadow: string;
  /** What was sent in accepted reports, and what they cover beyond it: the carried fraction. */
  readonly sent: string;
  readonly carried: string;
  /** Held events whose value is not known: in no sum, only in number. */
  readonly unknown: number;
  /** Meters that do not add up (avg, max, …) are checked in numbers of events. */
  readonly in: "usage" | "events";
}

export interface Verification {
  readonly ok: boolean;
  readonly events: number;
  readonly meters: Readonly<Record<string, MeterSums>>;
  /** One sentence for each sum, bucket or company's reports that do not match. */
  readonly differences: readonly string[];
}

/**
 * Recomputes all usage from the events, plainly, and proves that every unit is at the biller, due, held or refused, and
 * that what was sent is what the reports cover. All is read as of one instant, whatever is written meanwhile.
 */
export async function verify(
  store: Store,
  catalog: Catalog,
  options: { readonly onProgress?: OnProgress } = {},
): Promise<Verification> {
  return withSnapshot(store, (view) => verifyView(view, catalog, options));
}

/** Plain sums of one meter, by a way that shares nothing with the buckets. */
interface Naive {
  counted: Decimal;
  countedEvents: number;
  held: Decimal;
  heldEvents: number;
  unknown: number;
}

async function verifyView(
  store: StoreView,
  catalog: Catalog,
  { onProgress }: { readonly onProgress?: OnProgress },
): Promise<Verification> {
  await assertNewest(store, catalog);
  const naive = new Map<string, Naive>();
  const counted = recount();
  await catchUp(counted, store, catalog, {
    ...(onProgress === undefined ? {} : { onProgress }),
    onEvent: ({ verdicts }) => {
      for (const verdict of verdicts) {
        if (verdict.kind === "skipped") continue;
        const sums = entry(naive, verdict.meter);
        const value = typeof verdict.value === "bigint" ? verdict.value : NOTHING;
        if (verdict.kind === "counted") {
          sums.counted += value;
          sums.countedEvents += 1;
        } else {
          sums.held += value;
          sums.heldEvents += 1;
          if (verdict.value === null) sums.unknown += 1;
        }
      }
    },
  });
  const ledger = await readLedger(store, catalog, counted);
  const keys = new Set([
    ...catalog.meters.map(({ key }) => key),
    ...naive.keys(),
    ...ledger.buckets.keys(),
    ...ledger.outbox.keys(),
  ]);
  const meters: Record<string, MeterSums> = {};
  const differences = [...ledger.differences];
  for (const key of [...keys].toSorted()) {
    const { sums, wrong } = sumsOf(catalog, key, entry(naive, key), ledger);
    meters[key] = sums;
    differences.push(...wrong);
  }
  return { ok: differences.length === 0, events: counted.events, meters, differences };
}

interface Ledger {
  readonly buckets: ReadonlyMap<string, Total>;
  readonly archive: ReadonlyMap<string, Total>;
  readonly outbox: ReadonlyMap<string, readonly OutboxTotals[]>;
  readonly due: ReadonlyMap<string, Decimal>;
  readonly holds: ReadonlyMap<string, { readonly holds: number; readonly value: Decimal }>;
  /** What was closed without a report, on purpose. */
  readonly skipped: ReadonlyMap<string, Decimal>;
  readonly differences: readonly string[];
}

interface Total {
  readonly usage: Decimal;
  readonly events: number;
  readonly isAdditive: boolean;
}

async function readLedger(store: StoreView, catalog: Catalog, { fold }: Recount): Promise<Ledger> {
  const buckets = new Map<string, Total>();
  const archived = new Map<string, Total>();
  const differences = sentences();
  for (const meter of await accountedMeters(store, catalog, fold)) {
    const account = await readAccount(store, meter);
    buckets.set(meter, totalOf(account.stored));
    archived.set(meter, totalOf(account.archive));
    for (const bucket of uncovered(account.archive, account.stored))
      differences.add(`${bucketName(bucket)} is not as much as its archived part`);
    for (const day of dayDifferences(account))
      differences.add(`${bucketName(day)} is not what the buckets of its day add up to`);
    // A meter that left the file cannot be judged again.
    if (catalog.aggregateOf(meter) === null) continue;
    for (const bucket of differencesOf(fold, account))
      differences.add(`${bucketName(bucket)} is not what its events give`);
  }
  for (const lane of await store.laneTotals()) for (const sentence of laneFaults(lane)) differences.add(sentence);
  const due = await dueByMeter(store);
  const totals = new Map<string, OutboxTotals[]>();
  for (const total of await store.outboxTotals()) totals.set(total.meter, [...(totals.get(total.meter) ?? []), total]);
  const holds = new Map((await store.holdTotals()).map(({ meter, ...held }) => [meter, held]));
  const skipped = new Map((await store.skippedTotals()).map(({ meter, raw }) => [meter, raw]));
  return { buckets, archive: archived, outbox: totals, due, holds, skipped, differences: differences.all() };
}

/**
 * What a company was sent for a meter must be what its rows cover, rounded down once: less than one unit below it, and
 * never above; the next row is computed from the running totals, so they must be the sums of the rows. A row that was
 * cancelled may have sent up to a unit more or less than it covers, until its window is closed again.
 */
function laneFaults({ meter, company, raw, value, runningRaw, runningValue, cancels }: LaneTotals): string[] {
  const faults: string[] = [];
  const rest = raw - value;
  const slack = fromInteger(cancels);
  if (rest < -slack || rest >= ONE + slack)
    faults.push(
      `reports of ${meter} ${company} cover ${formatDecimal(raw)}, but say ${formatDecimal(value)}: not the same, rounded down`,
    );
  if (raw !== runningRaw || value !== runningValue)
    faults.push(
      `reports of ${meter} ${company} add up to ${formatDecimal(raw)} (${formatDecimal(value)} sent), but the running totals are ${formatDecimal(runningRaw)} (${formatDecimal(runningValue)})`,
    );
  return faults;
}

const ONE = fromInteger(1);
const SENTENCES_MAX = 100;

/** The first differences in words, the others as a number. */
function sentences(): { add(sentence: string): void; all(): readonly string[] } {
  const told: string[] = [];
  let more = 0;
  return {
    add: (sentence) => void (told.length < SENTENCES_MAX ? told.push(sentence) : more++),
    all: () => (more === 0 ? told : [...told, `${more} more buckets or reports do not match`]),
  };
}

function bucketName({ meter, company, group, start }: BucketKey): string {
  return `bucket ${meter} ${company} ${group} ${new Date(start).toISOString()}`;
}

function totalOf(buckets: readonly Bucket[]): Total {
  const total = { usage: NOTHING, events: 0, isAdditive: true };
  for (const { aggregate, state } of buckets) {
    if (!isAdditive(aggregate)) total.isAdditive = false;
    total.usage += aggregate === "count" ? fromInteger(state.events) : (state.value ?? NOTHING);
    total.events += state.events;
  }
  return total;
}

function sumsOf(
  catalog: Catalog,
  key: string,
  naive: Naive,
  ledger: Ledger,
): { sums: MeterSums; wrong: readonly string[] } {
  const aggregate = catalog.aggregateOf(key);
  const bucket = ledger.buckets.get(key) ?? { usage: NOTHING, events: 0 };
  const archive = ledger.archive.get(key) ?? { usage: NOTHING, events: 0 };
  const holds = ledger.holds.get(key) ?? { holds: 0, value: NOTHING };
  const isUsage = aggregate === null || isAdditive(aggregate);
  // A meter that left the file cannot be judged again; its usage is taken as counted.
  const counted = aggregate === null ? bucket.usage : naive.counted + archive.usage;
  const events = aggregate === null ? bucket.events : naive.countedEvents + archive.events;
  const heldEvents = aggregate === null ? holds.value : naive.held;
  const accepted = isUsage ? counted + heldEvents : fromInteger(events + naive.heldEvents);
  const parts = isUsage ? partsOf(key, bucket.usage, holds.value, ledger) : inEvents(bucket.events, holds.holds);
  const found = parts.reported + parts.due + parts.held + parts.refused;
  const sums: MeterSums = {
    accepted: formatDecimal(accepted),
    reported: formatDecimal(parts.reported),
    due: formatDecimal(parts.due),
    held: formatDecimal(parts.held),
    refused: formatDecimal(parts.refused),
    shadow: formatDecimal(parts.shadow),
    sent: formatDecimal(parts.sent),
    carried: formatDecimal(parts.reported - parts.sent),
    unknown: naive.unknown,
    in: isUsage ? "usage" : "events",
  };
  const wrong =
    found === accepted
      ? []
      : [`${key}: accepted ${sums.accepted}, but reported + due + held + refused = ${formatDecimal(found)}`];
  return { sums, wrong };
}

type Parts = Readonly<Record<"reported" | "due" | "held" | "refused" | "sent" | "shadow", Decimal>>;

function partsOf(key: string, bucketUsage: Decimal, heldEvents: Decimal, ledger: Ledger): Parts {
  const rows = ledger.outbox.get(key) ?? [];
  const raw = (...states: OutboxState[]): Decimal =>
    sum(rows.filter(({ state }) => states.includes(state)).map((row) => row.raw));
  // Windows of a meter that left the file need not add up to its buckets, when it was an average or a maximum.
  const isSummed = ledger.buckets.get(key)?.isAdditive ?? true;
  const unenqueued = isSummed
    ? (ledger.due.get(key) ?? NOTHING) + (ledger.skipped.get(key) ?? NOTHING)
    : bucketUsage - sum(rows.map((row) => row.raw));
  return {
    reported: raw("accepted", "settled"),
    due: unenqueued + raw("pending", "sending"),
    held: heldEvents + raw("held"),
    refused: raw("dead", "conflict"),
    sent: sum(rows.filter(({ state }) => state === "accepted" || state === "settled").map((row) => row.value)),
    shadow: sum(rows.map((row) => row.shadow)),
  };
}

function inEvents(counted: number, held: number): Parts {
  const none = { reported: NOTHING, refused: NOTHING, sent: NOTHING, shadow: NOTHING };
  return { ...none, due: fromInteger(counted), held: fromInteger(held) };
}

function entry(naive: Map<string, Naive>, meter: string): Naive {
  const known = naive.get(meter) ?? { counted: NOTHING, countedEvents: 0, held: NOTHING, heldEvents: 0, unknown: 0 };
  naive.set(meter, known);
  return known;
}

function sum(values: readonly Decimal[]): Decimal {
  return values.reduce((total, value) => total + value, NOTHING);
}

const NOTHING = fromInteger(0);
