import type { Catalog } from "../../core/catalog.ts";
import { isMeterbookError, type ErrorCode, type MeterbookError } from "../../core/errors.ts";
import type { UsageRecord } from "../../core/usage-record.ts";
import { alarms, type Alarms } from "./alarms.ts";
import { periodsOf, refreshPeriods } from "../outbox/billing-periods.ts";
import { clockTrust, hasToDecide, type ClockTrust } from "./clock-trust.ts";
import { openCoverage, type Coverage, type RoundCoverage } from "../outbox/coverage.ts";
import { heldTooLong } from "./held-alarm.ts";
import { reportDefinitions, type Closing, type ReportPlanSettings } from "../outbox/closing.ts";
import { openCustomerMap, type CustomerMap, type CustomerMaker } from "../outbox/customers.ts";
import { deliver, recordOf, type DeliverySummary } from "./delivery.ts";
import { closeEndedParts } from "../outbox/early-parts.ts";
import { reconsider, releaseHeld } from "../outbox/held-reports.ts";
import { lateReports } from "../outbox/late-reports.ts";
import { limits } from "../limits.ts";
import { openMeterModes, type MeterModes, type OnMeterFault } from "../outbox/meter-modes.ts";
import { closeWindows, plannedRows } from "../outbox/outbox.ts";
import { dailyReadings } from "./daily-readings.ts";
import { pace, type Pace } from "./pace.ts";
import type { Clock, MeterAnswer, NewOutboxRow, OutboxRow, Store, UsageReporter } from "../ports.ts";
import { assertAccount } from "../outbox/report-account.ts";
import { closableWindows, nextEras } from "../outbox/report-windows.ts";
import { withReporterLease } from "./reporter-lease.ts";
import { NO_SHADOW, openShadow } from "../outbox/shadow.ts";

/** The part of billing.stripe that reporting needs. */
export interface ReportSettings {
  readonly unmatchedCustomer: "hold" | "create" | "error";
  /** Usage that no subscription of its customer bills: held until one does, or sent and on no invoice. */
  readonly noSubscription: "hold" | "send";
  readonly report: ReportPlanSettings;
  /** Everything but the call: rows are accepted as `shadow`. */
  readonly shadow?: boolean;
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
  /** Kept from round to round, it remembers what was told. */
  readonly alarms?: Alarms;
}

export interface ReportSummary extends DeliverySummary {
  /** Rows made of ended windows. */
  readonly closed: number;
  /** Held rows that got their customer. */
  readonly released: number;
  /** Rows that wait for a customer or meter, and those that were closed now and cannot be sent. */
  readonly held: number;
  /** True = nothing is sent on purpose: what counts as accepted is what would have been sent. */
  readonly shadow: boolean;
}

/**
 * One round: customers, held rows, ended windows, delivery until nothing is due. Null = another node reports.
 * While the biller cannot be reached or refuses the key, usage stays due, and one notice says so.
 */
export function reportOnce(options: ReportOptions): Promise<ReportSummary | null> {
  return withReporterLease(options, (keepLease) => round(options, keepLease));
}

interface Round extends ReportOptions {
  readonly keepLease: () => Promise<boolean>;
  readonly alarms: Alarms;
  readonly trust: ClockTrust;
  readonly coverage: RoundCoverage;
}

async function round(options: ReportOptions, keepLease: () => Promise<boolean>): Promise<ReportSummary> {
  const { clock, reporter } = options;
  const trust = clockTrust(reporter, clock);
  const told = options.alarms ?? alarms();
  const own: Round = { ...options, keepLease, alarms: told, trust, coverage: coverageOf(options, told) };
  const shadow = options.settings.shadow === true;
  const prepared = await prepare(own);
  const { refused: stopped, modes } = prepared;
  const delivered =
    stopped !== null || modes === null
      ? { ...NOTHING_SENT, stopped, gaveUp: stopped === null }
      : await deliverRound(own, modes);
  if (delivered.stopped === null && modes !== null) own.alarms.end(REFUSED);
  tellSilent(own);
  await tellLate(own);
  return { ...prepared.counts, ...delivered, shadow };
}

/**
 * What was closed, or waits, for too long. A clock that is wrong, or has just jumped, says nothing of lateness; that a round
 * took longer than its clock is trusted is no jump, so the biller is asked once more.
 */
async function tellLate({ store, catalog, clock, trust, alarms: told, onNotice }: Round): Promise<void> {
  const hasLeftTrust = trust.agreedAt() !== null && !trust.covers(clock.now());
  if (trust.isWrong() || (hasLeftTrust && (await isOfClock(trust)))) return;
  const now = clock.now();
  const late = await lateReports(store, catalog, periodsOf(store), now);
  if (late !== null) onNotice?.({ code: "METER_REPORT_LATE", text: late });
  const held = await heldTooLong(store, told, now);
  if (held !== null) onNotice?.({ code: "METER_USAGE_HELD", text: held });
}

async function deliverRound(options: Round, modes: MeterModes): Promise<DeliverySummary> {
  const { store, settings, clock, trust, alarms: told, onNotice } = options;
  const shadow = await openShadow(store, shadowSetting(settings), clock.now());
  const { standing } = modes;
  const coverage = options.coverage.asking(limits.subscriptionQuestionsMax);
  const gates = { store, shadow, standing, coverage, graceMs: settings.report.graceMs };
  const readings = await dailyReadings(store, clock.now(), "readBack");
  const refusals = new Set<string>();
  const onRefused = (reason: string): void => void refusals.add(reason);
  const delivered = await deliver({ ...options, gates, readings, onRefused, pace: options.pace ?? pace() });
  if (refusals.size > 0) onNotice?.({ code: "METER_REPORT_REFUSED", text: refusedText(delivered, [...refusals]) });
  if (delivered.accepted > 0) told.end("gave up");
  if (delivered.stopped !== null) {
    if (await isOfClock(trust)) return delivered;
    const text = `All sending is stopped: ${delivered.stopped}`;
    told.raise(REFUSED, { code: REFUSED, text }, onNotice);
  } else if (delivered.gaveUp) {
    const text = "No clear answer came several times in a row; the rest waits for the next round.";
    told.raise("gave up", { code: "METER_STRIPE_UNREACHABLE", text }, onNotice);
  }
  return delivered;
}

const REASONS_SHOWN_MAX = 5;

/** Each row is refused once, so this is told when it happens and not again. */
function refusedText({ dead, conflicts }: DeliverySummary, reasons: readonly string[]): string {
  const shown = reasons.slice(0, REASONS_SHOWN_MAX).join("; ");
  const more = reasons.length > REASONS_SHOWN_MAX ? `; and ${reasons.length - REASONS_SHOWN_MAX} reasons more` : "";
  return `Of the reports of this round ${dead} were refused for good and ${conflicts} are in conflict: ${shown}${more}. \`meterbook outbox\` lists them; a person decides.`;
}

/** Whether the clock is wrong now, which the reporter that measured it tells of by itself. */
async function isOfClock(trust: ClockTrust): Promise<boolean> {
  try {
    return (await trust.renew("now")) !== null;
  } catch (error) {
    if (!isMeterbookError(error) || !isOfBiller(error)) throw error;
    return false;
  }
}

function shadowSetting({ shadow, report }: ReportSettings): { readonly isOn: boolean; readonly windowMs: number } {
  return { isOn: shadow === true, windowMs: report.windowMs };
}

const NOTHING_SENT: DeliverySummary = {
  accepted: 0,
  retried: 0,
  dead: 0,
  conflicts: 0,
  waiting: 0,
  stopped: null,
  gaveUp: false,
};

interface Prepared {
  readonly counts: { readonly closed: number; readonly released: number; readonly held: number };
  readonly refused: string | null;
  /** Null = it could not be learned whose key this is, so nothing may be sent with it. */
  readonly modes: MeterModes | null;
}

async function prepare(options: Round): Promise<Prepared> {
  const { store, reporter, clock, trust, alarms: told, onNotice } = options;
  let modes: MeterModes | null = null;
  try {
    await assertAccount(store, await reporter.account());
    modes = await modesOf(options, (reportAs, fault) => {
      const name = `meter ${reportAs}`;
      if (fault === null) told.end(name);
      else told.raise(name, fault, onNotice);
    });
    // A meter that is not what the configuration says of it is told at once, not when its first window closes.
    for (const { eventTimeWindow, reportAs } of (await reportDefinitions(options)).values())
      if (eventTimeWindow !== undefined) await modes.standing(reportAs);
    const { report } = options.settings;
    const now = clock.now();
    const wrongClock = (await hasToDecide(store, report, now)) ? await trust.renew() : null;
    if (wrongClock !== null) return { counts: await nothingClosed(store), refused: wrongClock, modes };
    const counts = await closeRound(options, modes, trust.agreedAt() ?? now);
    // A key may be refused for reports alone: that is over when a round meets no refusal at all.
    for (const fault of BILLER_CODES) if (fault !== REFUSED) told.end(fault);
    return { counts, refused: null, modes };
  } catch (error) {
    if (!isMeterbookError(error) || !isOfBiller(error)) throw error;
    told.raise(error.code, { code: error.code, text: error.message }, onNotice);
    const refused = error.code === "METER_STRIPE_UNREACHABLE" ? null : error.message;
    return { counts: await nothingClosed(store), refused, modes };
  }
}

async function nothingClosed(store: Store): Promise<Prepared["counts"]> {
  const { outbox } = await store.counts();
  return { closed: 0, released: 0, held: outbox.held };
}

/** Releases what got its customer, closes what a billing period's end needs, then all windows that have ended by `now`. */
async function closeRound(options: Round, modes: MeterModes, now: number): Promise<Prepared["counts"]> {
  const { store, settings, reporter, onNotice } = options;
  const present = await refreshPeriods(store, reporter, now);
  const { coverage } = options;
  coverage.learn(present);
  const closing = await openClosing(options, modes, { coverage, readOnly: false, now });
  const { released, held } = await releaseHeld({ ...closing, asking: coverage.asking }, modes);
  const early = await closeEndedParts(closing, modes, present);
  const ended = await closeWindows(closing, modes);
  const nowHeld = [...early.held, ...ended.held];
  const unmatched = new Set(nowHeld.filter(({ reason }) => reason === "no_customer").map(({ company }) => company));
  if (settings.unmatchedCustomer === "error" && unmatched.size > 0) {
    onNotice?.({
      code: "METER_CUSTOMER_UNMATCHED",
      text: `No customer bears the company id ${[...unmatched].slice(0, 10).join(", ")}; the usage is held.`,
    });
  }
  return { closed: early.closed + ended.closed, released, held: held + nowHeld.length };
}

function isOfBiller({ code }: MeterbookError): boolean {
  return BILLER_CODES.includes(code);
}

/** One alarm for a refused key, whether a report or a question met it. */
const REFUSED: ErrorCode = "METER_STRIPE_REFUSED";

const BILLER_CODES: readonly ErrorCode[] = [
  "METER_STRIPE_REFUSED",
  "METER_STRIPE_ACCOUNT_CHANGED",
  "METER_STRIPE_UNREACHABLE",
];

/** A biller that tells of no subscriptions is told of once. */
function coverageOf(
  { store, reporter, settings, onNotice }: Pick<ReportOptions, "store" | "reporter" | "settings" | "onNotice">,
  told?: Alarms,
): RoundCoverage {
  const { noSubscription } = settings;
  const alarm = {
    code: "METER_SUBSCRIPTIONS_UNKNOWN",
    text: "The biller does not tell which customers have a subscription: usage of those who have none is sent all the same.",
  } as const;
  const onUntold = (): void => told?.raise("subscriptions unknown", alarm, onNotice);
  const wasSilent = (customer: string): boolean => told?.goesOn(SILENT, customer) === true;
  return openCoverage({ store, reporter, noSubscription, onUntold, wasSilent });
}

const SILENT = "customers without an answer";

/** Who gives no answer for two rounds in a row: their usage waits, and that must not go unsaid. */
function tellSilent({ coverage, alarms: told, onNotice }: Round): void {
  const silent = coverage.silent();
  const still = silent.filter((customer) => told.goesOn(SILENT, customer));
  told.goOn(SILENT, silent);
  if (silent.length === 0) told.end(SILENT);
  if (still.length === 0) return;
  const shown = still.slice(0, REASONS_SHOWN_MAX).join(", ");
  const more = still.length > REASONS_SHOWN_MAX ? ` and ${still.length - REASONS_SHOWN_MAX} more` : "";
  const text = `Stripe gives no answer about the subscriptions of ${shown}${more}: usage that depends on it waits, and they are asked again each round.`;
  told.raise(SILENT, { code: "METER_STRIPE_UNREACHABLE", text }, onNotice);
}

type ClosingOptions = Pick<ReportOptions, "store" | "catalog" | "reporter" | "settings" | "clock"> &
  Partial<Pick<Round, "keepLease">>;

async function modesOf(
  { store, catalog, reporter }: Pick<ReportOptions, "store" | "catalog" | "reporter">,
  onFault?: OnMeterFault,
): Promise<MeterModes> {
  const definitions = (await reportDefinitions({ store, catalog })).values();
  const meter = (reportAs: string): Promise<MeterAnswer> => reporter.meter(reportAs);
  return openMeterModes({ store, meter, definitions, ...(onFault === undefined ? {} : { onFault }) });
}

async function openClosing(
  options: ClosingOptions,
  modes: MeterModes,
  opening: { readonly coverage: RoundCoverage; readonly readOnly: boolean; readonly now: number },
): Promise<Closing> {
  const { coverage, readOnly, now } = opening;
  const { store, catalog, reporter, settings, clock } = options;
  const account = await reporter.account();
  await assertAccount(store, account);
  const customers = await openCustomerMap({ store, reporter, clock, unmatched: settings.unmatchedCustomer, readOnly });
  return {
    store,
    catalog,
    report: settings.report,
    account,
    customers,
    meter: modes.standing,
    coverage: coverage.asking(limits.subscriptionQuestionsMax),
    shadow: await openShadow(store, { ...shadowSetting(settings), readOnly }, now),
    taken: new Set(),
    keepLease: options.keepLease ?? isAlone,
    now,
  };
}

/** A window or row that would not be sent. */
type HeldUsage = Pick<NewOutboxRow, "meter" | "reportAs" | "company" | "windowStart" | "windowEnd" | "raw" | "reason">;

export interface ReportPlan {
  /** The exact records that the next round would send. */
  readonly records: readonly UsageRecord[];
  readonly held: readonly HeldUsage[];
}

/** A held row may still bear the address that it had before: what decides is its state. */
function isToBeReported({ state, kind }: OutboxRow | NewOutboxRow): boolean {
  return kind !== "cancel" && (state === "pending" || state === "sending");
}

/** What reportOnce would send now. Writes nothing, here or at the biller; without a reporter nothing can be addressed. */
export async function planReport(
  options: Omit<ClosingOptions, "reporter"> & { readonly reporter: ReportOptions["reporter"] | null },
): Promise<ReportPlan> {
  const { reporter, store, clock, settings } = options;
  const closing = reporter === null ? withoutReporter(options) : await closingForPlan({ ...options, reporter });
  const reconsidered = await reconsider(closing);
  const eras = await nextEras(store, settings.report.windowMs, clock.now());
  const windows = await closableWindows(store, eras, clock.now(), settings.report.latenessMs, limits.heldRowsMax);
  const rows: (OutboxRow | NewOutboxRow)[] = [
    ...(await store.outbox({ state: "sending", limit: limits.heldRowsMax })),
    ...(await store.outbox({ state: "pending", limit: limits.heldRowsMax })),
    ...reconsidered.map(({ row, placement }) => ({ ...row, ...placement })),
    ...(await plannedRows(closing, windows)).rows.flatMap(({ row }) => row ?? []),
  ];
  const held = rows.filter(({ state }) => state === "held");
  return {
    records: rows.filter(isToBeReported).flatMap((row) => recordOf(row) ?? []),
    held: reporter === null ? held.map((row) => ({ ...row, reason: "no_stripe_key" })) : held,
  };
}

async function closingForPlan(options: ClosingOptions): Promise<Closing> {
  const coverage = coverageOf(options);
  coverage.learn(await options.reporter.periods());
  return openClosing(options, await modesOf(options), { coverage, readOnly: true, now: options.clock.now() });
}

function withoutReporter({ store, catalog, settings, clock }: Omit<ClosingOptions, "reporter">): Closing {
  const nobody = { account: "", customers: NOBODY, meter: anyMeter, coverage: ANYTHING, shadow: NO_SHADOW };
  return { store, catalog, report: settings.report, ...nobody, taken: new Set(), keepLease: isAlone, now: clock.now() };
}

/** A dry run needs no lease: it writes nothing. */
async function isAlone(): Promise<boolean> {
  return true;
}

const NOBODY: CustomerMap = { resolve: async () => ({ kind: "missing" }), ask: async () => undefined };

/** Without a biller nothing is sent, so nothing has to be on its invoices. */
const ANYTHING: Coverage = { periods: async () => [], answer: async () => "billed" };

async function anyMeter(): Promise<MeterAnswer> {
  return { kind: "ready", keepsLast: null };
}
