import type { AggregateKind } from "./aggregation.ts";
import type { Filter } from "./filter.ts";

/** What to do with an event that matches but has no value at the meter's path. */
export type MissingValue = "hold" | "skip" | "zero";

/** What becomes of usage that nobody was identified for. */
export type UnknownIdentity = "hold" | "drop";

/** One meter as the catalog holds it: which events, which value, how they are aggregated and grouped. */
export interface MeterDefinition {
  /** Stable name, `^[a-z0-9]+(?:_[a-z0-9]+)*$`, at most 64 characters. Also Stripe's event_name unless that is named. */
  readonly key: string;
  readonly name: string;
  readonly unit: string | null;
  /** Only events of this type; null = any type. */
  readonly eventType: string | null;
  /** Every line must hold. Empty = every event. */
  readonly match: readonly Filter[];
  readonly aggregate: AggregateKind;
  /** Field path of the value; null exactly for `count`. */
  readonly value: string | null;
  /** Label → field path, in the order of the file. */
  readonly groupBy: Readonly<Record<string, string>>;
  readonly missingValue: MissingValue;
  /** Negative values are held unless this is true. */
  readonly allowNegative: boolean;
  /** Whether usage of this meter is reported to the biller; only `sum` and `count` can be. */
  readonly report: boolean;
  /** The biller's name for this meter (Stripe: event_name). */
  readonly reportAs: string;
  /** What becomes of usage that came after its invoice was final; where left out, it is held. */
  readonly late?: LatePolicy;
  /** What the biller's meter must say of its own windows; where left out, whatever it says is followed. */
  readonly eventTimeWindow?: EventTimeWindow;
}

/**
 * Usage that came too late for its own invoice: `carry` it into the present billing period, `hold` it for a person, or
 * `write_off`: it is never billed.
 */
export type LatePolicy = (typeof LATE_POLICIES)[number];
export const LATE_POLICIES = ["carry", "hold", "write_off"] as const;

/** `none`: the biller adds all reports up; otherwise it keeps only the last one of each hour or day (UTC). */
type EventTimeWindow = (typeof EVENT_TIME_WINDOWS)[number];
export const EVENT_TIME_WINDOWS = ["none", "hour", "day"] as const;

/**
 * A meter as it counted from an instant on, with everything of the configuration that decides its verdicts. An edit makes
 * a new version; events before it keep the old one.
 */
export interface MeterVersion {
  readonly definition: MeterDefinition;
  readonly version: number;
  /** Event time from which this version counts, milliseconds UTC, inclusive; 0 for the first version of an empty store. */
  readonly effectiveFrom: number;
  /** The computed fields that it reads, as they were: name → CEL expression. Where left out, those of the catalog. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Where left out, the catalog's. */
  readonly unknownIdentity?: UnknownIdentity;
  /** The meter left the configuration: from here on it counts nothing, and what it counted stays explainable. */
  readonly ended?: boolean;
  /** Where an operator put it into force for the past: it overrides what counted from its instant on. */
  readonly replayed?: ReplayNote;
  /**
   * Made over the API, or for a guide of records: the configuration's `meters` neither change nor end it. Where left out,
   * it is theirs.
   */
  readonly origin?: MeterOrigin;
}

/** Who decides about a meter that is not in the configuration's `meters`. */
export type MeterOrigin = "api" | "guide";

/** Who put a meter version into force for the past, why, and when: milliseconds UTC. */
export interface ReplayNote {
  readonly author: string;
  readonly cause: string;
  readonly at: number;
}
