import { isAdditive } from "../../core/aggregation.ts";
import type { Catalog } from "../../core/catalog.ts";
import type { LatePolicy, MeterDefinition } from "../../core/meter.ts";
import { ownMembers } from "../../core/own-member.ts";
import type { Coverage, NoSubscription } from "./coverage.ts";
import type { CustomerMap } from "./customers.ts";
import type { MeterStanding } from "./meter-modes.ts";
import type { CustomerAnswer, FINAL_HOLDS, HeldLane, Store } from "../ports.ts";
import type { Shadow } from "./shadow.ts";

export interface ReportPlanSettings {
  readonly windowMs: number;
  readonly latenessMs: number;
  /** How long after a billing period's end its invoice becomes final. */
  readonly graceMs: number;
  readonly fractionDigits: number;
}

/** What one round of closing windows works with. */
export interface Closing {
  readonly store: Store;
  readonly catalog: Catalog;
  readonly report: ReportPlanSettings;
  /** Account and mode of the biller, part of every identifier. */
  readonly account: string;
  readonly customers: CustomerMap;
  readonly meter: (reportAs: string) => Promise<MeterStanding>;
  /** Billing periods, and whether anything bills usage. */
  readonly coverage: Coverage;
  readonly shadow: Shadow;
  /** Minutes and windows at the biller that this round's rows take already: two of them must not share one. */
  readonly taken: Set<string>;
  /** False = another node reports now, so nothing is put into the outbox from here. */
  readonly keepLease: () => Promise<boolean>;
  readonly now: number;
}

/** Why a closed window stands in the outbox without being sent. */
export type HeldReason =
  | "no_customer"
  | "two_customers"
  | "customer_deleted"
  | "stripe_meter_missing"
  | "stripe_meter_unfit"
  | "stripe_meter_mismatch"
  | NoSubscription
  | FinalReason;
type FinalReason = (typeof FINAL_HOLDS)[number];

/** Who pays for a company's usage on one of the biller's meters, and how that meter adds up; or why nobody can now. */
export type Payer =
  | { readonly kind: "found"; readonly customer: string; readonly keepsLast: "hour" | "day" | null }
  | { readonly kind: "none"; readonly reason: HeldReason };

export async function payerOf(
  { customers, meter }: Pick<Closing, "customers" | "meter">,
  { company, reportAs }: Pick<HeldLane, "company" | "reportAs">,
): Promise<Payer> {
  const answer = await meter(reportAs);
  if (answer.kind !== "ready") return { kind: "none", reason: METER_REASONS[answer.kind] };
  const payer = await customers.resolve(company);
  if (payer.kind !== "mapped") return { kind: "none", reason: PAYER_REASONS[payer.kind] };
  return { kind: "found", customer: payer.customer, keepsLast: answer.keepsLast };
}

const METER_REASONS: Readonly<Record<Exclude<MeterStanding["kind"], "ready">, HeldReason>> = {
  missing: "stripe_meter_missing",
  unfit: "stripe_meter_unfit",
  mismatch: "stripe_meter_mismatch",
};

const PAYER_REASONS: Readonly<Record<Exclude<CustomerAnswer["kind"], "mapped">, HeldReason>> = {
  missing: "no_customer",
  ambiguous: "two_customers",
  deleted: "customer_deleted",
};

/** Definitions of the meters that are reported. Meters that left the file still owe the usage they counted. */
export async function reportDefinitions({
  store,
  catalog,
}: Pick<Closing, "catalog"> & { readonly store: Pick<Store, "meterVersions"> }): Promise<
  ReadonlyMap<string, MeterDefinition>
> {
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

/** What a meter's owner wants of usage that comes too late. */
export function latePolicyOf(definition: MeterDefinition | undefined): LatePolicy {
  return (definition === undefined ? undefined : ownMembers(definition).late) ?? "hold";
}
