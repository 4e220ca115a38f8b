import type { Catalog } from "../core/catalog.ts";
import { isMeterbookError, type ErrorCode, type MeterbookError } from "../core/errors.ts";
import type { UsageRecord } from "../core/usage-record.ts";
import { openCustomerMap, type CustomerMap, type CustomerMaker } from "./customers.ts";
import { deliver, recordOf, type DeliverySummary } from "./delivery.ts";
import { limits } from "./limits.ts";
import { reconsider, releaseHeld } from "./held-reports.ts";
import { closeWindows, plannedRows, type Closing, type ReportPlanSettings } from "./outbox.ts";
import { pace, type Pace } from "./pace.ts";
import type { Clock, NewOutboxRow, OutboxRow, Store, UsageReporter } from "./ports.ts";
import { assertAccount } from "./report-account.ts";
import { closableWindows, nextEras } from "./report-windows.ts";

/** The part of billing.stripe that reporting needs. */
export interface ReportSettings {
  readonly unmatchedCustomer: "hold" | "create" | "error";
  readonly report: ReportPlanSettings;
}

export interface ReportOptions {
  readonly store: Store;
  readonly catalog: Catalog;
  readonly reporter: UsageReporter & Partial<CustomerMaker>;
  readonly settings: ReportSettings;
  readonly clock: Clock;
  readonly holder: string;
  readonly random: () => number;
  /** Resolves after so many milliseconds of the clock's time. */
  readonly wait: (ms: number) => Promise<void>;
  readonly onNotice?: (notice: { readonly code: ErrorCode; readonly text: string }) => void;
  /** Kept from round to round, it remembers the biller's rate limits. */
  readonly pace?: Pace;
}

export interface ReportSummary extends DeliverySummary {
  /** Rows made of ended windows. */
  readonly closed: number;
  /** Held rows that got their customer. */
  readonly released: number;
  /** Rows that wait for a customer or meter, and those that were closed now and cannot be sent. */
  readonly held: number;
}

/** One lease for all nodes of a store: a second reporter does nothing. */
const LEASE = "reporter";

/**
 * One round: customers, held rows, ended windows, delivery until nothing is due. Null = another node reports.
 * While the biller cannot be reached or refuses the key, usage stays due, and one notice says so.
 */
export async function reportOnce(options: ReportOptions): Promise<ReportSummary | null> {
  const { store, clock, holder } = options;
  const keepLease = (): Promise<boolean> => store.lease(LEASE, holder, clock.now(), limits.reporterLeaseMs);
  if (!(await keepLease())) return null;
  try {
    return await round(options, keepLease);
  } finally {
    // Another node, or a command, need not wait for the lease to run out.
    await store.lease(LEASE, holder, clock.now(), 0);
  }
}

async function round(options: ReportOptions, keepLease: () => Promise<boolean>): Promise<ReportSummary> {
  const prepared = await prepare(options);
  const { refused: stopped, accountKnown } = prepared;
  if (stopped !== null || !accountKnown)
    return { ...NOTHING_SENT, ...prepared.counts, stopped, gaveUp: stopped === null };
  const delivered = await deliver({ ...options, pace: options.pace ?? pace(), keepLease });
  if (delivered.stopped !== null)
    options.onNotice?.({ code: "METER_STRIPE_REFUSED", text: `All sending is stopped: ${delivered.stopped}` });
  else if (delivered.gaveUp)
    options.onNotice?.({
      code: "METER_STRIPE_UNREACHABLE",
      text: "No clear answer came several times in a row; the rest waits for the next round.",
    });
  return { ...prepared.counts, ...delivered };
}

const NOTHING_SENT: DeliverySummary = { accepted: 0, retried: 0, dead: 0, conflicts: 0, stopped: null, gaveUp: false };

interface Prepared {
  readonly counts: { readonly closed: number; readonly released: number; readonly held: number };
  readonly refused: string | null;
  /** False = it could not be learned whose key this is, so nothing may be sent with it. */
  readonly accountKnown: boolean;
}

async function prepare(options: ReportOptions): Promise<Prepared> {
  const { store, settings, onNotice } = options;
  let accountKnown = false;
  try {
    await assertAccount(store, await options.reporter.account());
    accountKnown = true;
    const closing = await openClosing(options, false);
    const { released, held } = await releaseHeld(closing);
    const closed = await closeWindows(closing);
    const unmatched = new Set(
      closed.held.filter(({ reason }) => reason === "no_customer").map(({ company }) => company),
    );
    if (settings.unmatchedCustomer === "error" && unmatched.size > 0) {
      onNotice?.({
        code: "METER_CUSTOMER_UNMATCHED",
        text: `No customer bears the company id ${[...unmatched].slice(0, 10).join(", ")}; the usage is held.`,
      });
    }
    const counts = { closed: closed.closed, released, held: held + closed.held.length };
    return { counts, refused: null, accountKnown };
  } catch (error) {
    if (!isMeterbookError(error) || !isOfBiller(error)) throw error;
    onNotice?.({ code: error.code, text: error.message });
    const { outbox } = await store.counts();
    const refused = error.code === "METER_STRIPE_UNREACHABLE" ? null : error.message;
    return { counts: { closed: 0, released: 0, held: outbox.held }, refused, accountKnown };
  }
}

function isOfBiller({ code }: MeterbookError): boolean {
  return BILLER_CODES.includes(code);
}

const BILLER_CODES: readonly ErrorCode[] = [
  "METER_STRIPE_REFUSED",
  "METER_STRIPE_ACCOUNT_CHANGED",
  "METER_STRIPE_UNREACHABLE",
];

type ClosingOptions = Pick<ReportOptions, "store" | "catalog" | "reporter" | "settings" | "clock">;

async function openClosing(
  { store, catalog, reporter, settings, clock }: ClosingOptions,
  readOnly: boolean,
): Promise<Closing> {
  const account = await reporter.account();
  await assertAccount(store, account);
  const customers = await openCustomerMap({ store, reporter, clock, unmatched: settings.unmatchedCustomer, readOnly });
  return {
    store,
    catalog,
    report: settings.report,
    account,
    customers,
    meter: (reportAs) => reporter.meter(reportAs),
    now: clock.now(),
  };
}

/** A window or row that would not be sent. */
type HeldUsage = Pick<NewOutboxRow, "meter" | "reportAs" | "company" | "windowStart" | "windowEnd" | "raw" | "reason">;

export interface ReportPlan {
  /** The exact records that the next round would send. */
  readonly records: readonly UsageRecord[];
  readonly held: readonly HeldUsage[];
}

/** What reportOnce would send now. Writes nothing, here or at the biller; without a reporter nothing can be addressed. */
export async function planReport(
  options: Omit<ClosingOptions, "reporter"> & { readonly reporter: ReportOptions["reporter"] | null },
): Promise<ReportPlan> {
  const { reporter, store, clock, settings } = options;
  const closing = reporter === null ? withoutReporter(options) : await openClosing({ ...options, reporter }, true);
  const reconsidered = await reconsider(closing);
  const eras = await nextEras(store, settings.report.windowMs, clock.now());
  const windows = await closableWindows(store, eras, clock.now(), settings.report.latenessMs, limits.heldRowsMax);
  const rows: (OutboxRow | NewOutboxRow)[] = [
    ...(await store.outbox({ state: "sending", limit: limits.heldRowsMax })),
    ...(await store.outbox({ state: "pending", limit: limits.heldRowsMax })),
    ...reconsidered.map(({ row, address }) => ({ ...row, ...address })),
    ...(await plannedRows(closing, windows)).flatMap(({ row }) => row ?? []),
  ];
  const held = rows.filter(({ state }) => state === "held");
  return {
    records: rows.flatMap((row) => (row.state === "accepted" ? [] : (recordOf(row) ?? []))),
    held: reporter === null ? held.map((row) => ({ ...row, reason: "no_stripe_key" })) : held,
  };
}

function withoutReporter({ store, catalog, settings, clock }: Omit<ClosingOptions, "reporter">): Closing {
  return { store, catalog, report: settings.report, account: "", customers: NOBODY, meter: anyMeter, now: clock.now() };
}

const NOBODY: CustomerMap = { resolve: async () => ({ kind: "missing" }), ask: async () => undefined };

async function anyMeter(): Promise<{ kind: "ready" }> {
  return { kind: "ready" };
}
