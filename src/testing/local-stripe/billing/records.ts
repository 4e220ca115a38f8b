import type { Decimal } from "../../../core/decimal.ts";

export interface ProductRecord {
  readonly id: string;
  /** Seconds, as all times of this file. */
  readonly created: number;
  updated: number;
  name: string;
  description: string | null;
  unitLabel: string | null;
  isActive: boolean;
  metadata: Readonly<Record<string, string>>;
}

export const INTERVALS = ["day", "week", "month", "year"] as const;
export type Interval = (typeof INTERVALS)[number];

export interface Tier {
  /** Null = to infinity. */
  readonly upTo: bigint | null;
  /** In the currency's smallest unit, as all amounts. */
  readonly unit: Decimal | null;
  readonly flat: Decimal | null;
}

/** How a quantity becomes an amount. */
export type PriceScheme =
  | { readonly kind: "per_unit"; readonly unit: Decimal }
  | { readonly kind: "tiered"; readonly mode: "graduated" | "volume"; readonly tiers: readonly Tier[] };

export interface PriceRecord {
  readonly id: string;
  readonly created: number;
  readonly product: string;
  readonly currency: string;
  readonly scheme: PriceScheme;
  readonly interval: Interval;
  readonly intervalCount: number;
  /** `mtr_…` */
  readonly meter: string;
  readonly transform: { readonly divideBy: bigint; readonly round: "up" | "down" } | null;
  nickname: string | null;
  isActive: boolean;
  metadata: Readonly<Record<string, string>>;
}

export interface SubscriptionItemRecord {
  readonly id: string;
  readonly price: PriceRecord;
}

export interface SubscriptionRecord {
  readonly id: string;
  readonly customer: string;
  readonly created: number;
  readonly startDate: number;
  /** The instant from which all periods are counted. */
  readonly anchor: number;
  readonly items: readonly SubscriptionItemRecord[];
  /** Half-open. */
  periodStart: number;
  periodEnd: number;
  /** Null = no trial. The trial is the first period. */
  readonly trialEnd: number | null;
  cancelAt: number | null;
  cancelAtPeriodEnd: boolean;
  canceledAt: number | null;
  endedAt: number | null;
  latestInvoice: string | null;
  metadata: Readonly<Record<string, string>>;
}

export interface InvoiceLine {
  readonly id: string;
  readonly item: SubscriptionItemRecord;
  readonly quantity: Decimal;
  readonly unit: Decimal | null;
  /** Whole units of the currency's smallest. */
  readonly amount: bigint;
  readonly description: string;
}

export interface InvoiceRecord {
  readonly id: string;
  readonly created: number;
  readonly subscription: SubscriptionRecord;
  readonly periodStart: number;
  readonly periodEnd: number;
  /** Whether usage of the period is free. */
  readonly isTrial: boolean;
  readonly reason: "subscription_cycle" | "subscription_update" | "upcoming";
  /** Null while a draft. */
  finalizedAt: number | null;
  readonly finalizesAt: number;
  /** Null while a draft: then they follow the usage. */
  lines: readonly InvoiceLine[] | null;
}
