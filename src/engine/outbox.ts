import { isAdditive } from "../core/aggregation.ts";
import type { Catalog } from "../core/catalog.ts";
import type { MeterDefinition } from "../core/meter.ts";
import { ownMinute, runningReport, tooManyDigits } from "../core/usage-record.ts";
import type { CustomerMap } from "./customers.ts";
import { limits } from "./limits.ts";
import type { CustomerAnswer, DirtyWindow, FINAL_HOLDS, HeldLane, MeterAnswer, NewOutboxRow, Store } from "./ports.ts";
import { recordIdentifier } from "./record-identifier.ts";
import { keepAccount } from "./report-account.ts";
import { closableWindows, keepEras, nextEras } from "./report-windows.ts";

/** Why a closed window stands in the outbox without being sent. */
type HeldReason =
  | "no_customer"
  | "two_customers"
  | "customer_deleted"
  | "stripe_meter_missing"
  | "stripe_meter_unfit"
  | FinalReason;
type FinalReason = (typeof FINAL_HOLDS)[number];

/** `accepted` rows with this reason were never sent: their value is 0, and what they cover is carried on. */
const NOTHING_TO_SEND = "nothing to send";

export interface ReportPlanSettings {
  readonly windowMs: number;
  readonly latenessMs: number;
  readonly fractionDigits: number;
}

export interface Closing {
  readonly store: Store;
  readonly catalog: Catalog;
  readonly report: ReportPlanSettings;
  /** Account and mode of the biller, part of every identifier. */
  readonly account: string;
  readonly customers: CustomerMap;
  readonly meter: (reportAs: string) => Promise<MeterAnswer>;
  readonly now: number;
}

export interface ClosedWindow {
  readonly basis: DirtyWindow;
  /** Null = the window has nothing to report, or its meter is not reported: what it has now is closed all the same. */
  readonly row: NewOutboxRow | null;
}

/**
 * Puts the usage of ended windows into the outbox; late usage becomes the next row of its window. One transaction holds
 * a row and the mark it clears. Answers how many rows were made and which companies' usage had to be held.
 */
export async function closeWindows(
  closing: Closing,
): Promise<{ readonly closed: number; readonly held: readonly NewOutboxRow[] }> {
  const { store, report, now } = closing;
  const eras = await nextEras(store, report.windowMs, now);
  await keepEras(store, eras);
  const held: NewOutboxRow[] = [];
  let closed = 0;
  let before = "";
  for (;;) {
    const windows = await closableWindows(store, eras, now, report.latenessMs);
    const seen = windows
      .map(({ meter, company, windowStart, nextSequence }) => `${meter} ${company} ${windowStart} ${nextSequence}`)
      .join("\n");
    // The same windows again: they change as fast as they are read. The next round takes them.
    if (windows.length === 0 || seen === before) return { closed, held };
    before = seen;
    const rows = await plannedRows(closing, windows);
    if (rows.some(({ row }) => row?.state === "pending")) await keepAccount(store, closing.account);
    const inserted = await store.enqueue(rows, now);
    closed += inserted;
    if (inserted > 0) held.push(...rows.flatMap(({ row }) => (row?.state === "held" ? [row] : [])));
  }
}

/** The rows that these windows would become, in order; each (meter, company)'s running totals go on from row to row. */
export async function plannedRows(closing: Closing, windows: readonly DirtyWindow[]): Promise<readonly ClosedWindow[]> {
  const definitions = await reportDefinitions(closing);
  const totals = new Map<string, Pick<DirtyWindow, "runningRaw" | "runningValue">>();
  const closedWindows: ClosedWindow[] = [];
  for (const window of windows) {
    const lane = JSON.stringify([window.meter, window.company]);
    const basis = { ...window, ...totals.get(lane) };
    const definition = definitions.get(window.meter);
    const row = definition === undefined ? null : await plannedRow(closing, basis, definition);
    closedWindows.push({ basis, row });
    if (row !== null)
      totals.set(lane, { runningRaw: basis.runningRaw + row.raw, runningValue: basis.runningValue + row.value });
  }
  return closedWindows;
}

/** Definitions of the meters that are reported. Meters that left the file still owe the usage they counted. */
async function reportDefinitions({ store, catalog }: Closing): Promise<ReadonlyMap<string, MeterDefinition>> {
  const stored = (await store.meterVersions()).toSorted((a, b) => a.version - b.version);
  const latest = new Map(stored.map(({ definition }) => [definition.key, definition]));
  for (const definition of catalog.meters) latest.set(definition.key, definition);
  for (const [key, definition] of latest) if (!isReported(definition)) latest.delete(key);
  return latest;
}

/** Whether a meter's usage goes to the biller: it must add up over windows. */
export function isReported(definition: MeterDefinition): boolean {
  return definition.report && isAdditive(definition.aggregate);
}

async function plannedRow(
  closing: Closing,
  window: DirtyWindow,
  { reportAs }: MeterDefinition,
): Promise<NewOutboxRow | null> {
  const { runningRaw, runningValue, windowStart, windowEnd, nextSequence: sequence } = window;
  const raw = window.total - window.enqueuedRaw;
  if (raw === 0n) return null;
  const { fractionDigits } = closing.report;
  const { value } = runningReport({ runningRaw, runningValue, delta: raw, fractionDigits });
  const timestamp = ownMinute(windowStart, windowEnd, sequence);
  const { meter, company } = window;
  const facts = { meter, reportAs, company, windowStart, windowEnd, sequence, raw, value, timestamp };
  if (value === 0n) return { ...facts, customer: null, identifier: null, state: "accepted", reason: NOTHING_TO_SEND };
  const final = finalReason(facts, closing.now);
  const payer = final === null ? await payerOf(closing, facts) : { reason: final };
  return { ...facts, ...addressOf(closing, facts, payer) };
}

export type Address = Pick<NewOutboxRow, "customer" | "identifier" | "state" | "reason">;
type Addressable = Pick<
  NewOutboxRow,
  "meter" | "reportAs" | "company" | "windowStart" | "windowEnd" | "sequence" | "value" | "timestamp"
>;

/** Who pays for a company's usage on one of the biller's meters, or why nobody can now. */
export type Payer = { readonly customer: string } | { readonly reason: HeldReason };

export async function payerOf(
  { customers, meter }: Pick<Closing, "customers" | "meter">,
  { company, reportAs }: Pick<HeldLane, "company" | "reportAs">,
): Promise<Payer> {
  const answer = await meter(reportAs);
  if (answer.kind !== "ready")
    return { reason: answer.kind === "missing" ? "stripe_meter_missing" : "stripe_meter_unfit" };
  const payer = await customers.resolve(company);
  return payer.kind === "mapped" ? { customer: payer.customer } : { reason: PAYER_REASONS[payer.kind] };
}

/** Customer and identifier of a row, or why it cannot have them now. */
export function addressOf({ store, account, now }: Closing, row: Addressable, payer: Payer): Address {
  const reason = finalReason(row, now) ?? ("reason" in payer ? payer.reason : null);
  if (reason !== null || "reason" in payer) return { customer: null, identifier: null, state: "held", reason };
  const { customer } = payer;
  const identifier = recordIdentifier({ ...row, customer, account, store: store.id });
  return { customer, identifier, state: "pending", reason: null };
}

/** Why a row can never be sent, whoever pays; null when it can. */
function finalReason(row: Pick<Addressable, "timestamp" | "value">, now: number): FinalReason | null {
  if (now - row.timestamp > limits.reportAgeMaxMs) return "too_old";
  return tooManyDigits(row.value) ? "too_many_digits" : null;
}

const PAYER_REASONS: Readonly<Record<Exclude<CustomerAnswer["kind"], "mapped">, HeldReason>> = {
  missing: "no_customer",
  ambiguous: "two_customers",
  deleted: "customer_deleted",
};
