import type { Decimal } from "../../core/decimal.ts";
import type { Clock } from "../../engine/ports.ts";
import type { IdempotencyEntry } from "./answer.ts";
import type { PendingFault } from "./faults.ts";
import type { TokenBucket } from "./rate-limit.ts";

/** A key that may call. Without `rights` it may do everything, as a secret key; with them it is a restricted key. */
export interface ApiKey {
  readonly key: string;
  /** Names such as `rak_billing_meter_read`. */
  readonly rights?: readonly string[];
}

/** How this local Stripe behaves, defaults filled in. */
export interface LocalStripeSettings {
  readonly clock: Clock;
  readonly account: string;
  readonly mode: "test" | "live";
  /** Null = any secret or restricted key of the mode. */
  readonly apiKeys: readonly ApiKey[] | null;
  readonly searchLagMs: number;
  readonly searchAvailable: boolean;
  readonly summaryLagMs: number;
  readonly idempotencyHorizonMs: number;
  readonly identifierHorizonMs: number;
  readonly concurrencyConflicts: boolean;
  readonly latencyMs: number;
}

export interface CustomerFields {
  readonly email: string | null;
  readonly name: string | null;
  readonly description: string | null;
  readonly phone: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface CustomerRecord {
  readonly id: string;
  readonly created: number;
  fields: CustomerFields;
  deleted: boolean;
  /** What the search index saw, oldest first; milliseconds. */
  readonly versions: { readonly at: number; readonly fields: CustomerFields }[];
}

export interface MeterRecord {
  readonly id: string;
  readonly created: number;
  updated: number;
  displayName: string;
  readonly eventName: string;
  readonly formula: "sum" | "count" | "last";
  readonly customerKey: string;
  readonly valueKey: string;
  readonly window: "hour" | "day" | null;
  /** Seconds; null while active. */
  deactivatedAt: number | null;
}

export interface MeterEventRecord {
  readonly meter: MeterRecord;
  readonly customer: string;
  readonly identifier: string;
  /** Seconds. */
  readonly timestamp: number;
  /** Null for a count meter whose payload has no value. */
  readonly value: Decimal | null;
  /** Milliseconds, with the arrival number that orders equal times. */
  readonly receivedAt: number;
  readonly arrival: number;
  cancelled: boolean;
}

/** One line of the account's own event list: customer.created and so on. */
export interface AccountEvent {
  readonly id: string;
  readonly type: string;
  readonly createdMs: number;
  readonly object: object;
  readonly request: { readonly id: string | null; readonly idempotencyKey: string | null };
}

/** One call as it arrived. `form` is the raw query (GET) or body text, so that others can validate it. */
export interface LoggedCall {
  readonly at: number;
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  readonly form: string;
  readonly idempotencyKey: string | null;
  readonly apiVersion: string | null;
  /** Null until answered, and for ever when the connection was cut. */
  status: number | null;
}

/** All that a local Stripe remembers; dies with it. */
export interface LocalState {
  readonly settings: LocalStripeSettings;
  /** In order of creation, deleted ones too. */
  readonly customers: Map<string, CustomerRecord>;
  readonly meters: Map<string, MeterRecord>;
  /** By `meterEventsKey`, in order of arrival. */
  readonly meterEvents: Map<string, MeterEventRecord[]>;
  readonly identifiers: Map<string, MeterEventRecord>;
  readonly accountEvents: AccountEvent[];
  readonly idempotency: Map<string, IdempotencyEntry>;
  /** (customer, meter) lanes with a call in flight. */
  readonly lanes: Set<string>;
  readonly faults: PendingFault[];
  readonly calls: LoggedCall[];
  bucket: TokenBucket | null;
  counter: number;
}

export function emptyState(settings: LocalStripeSettings, bucket: TokenBucket | null): LocalState {
  return {
    settings,
    customers: new Map(),
    meters: new Map(),
    meterEvents: new Map(),
    identifiers: new Map(),
    accountEvents: [],
    idempotency: new Map(),
    lanes: new Set(),
    faults: [],
    calls: [],
    bucket,
    counter: 0,
  };
}

/** A new id such as `cus_L0000000000001`: counted, not random, so that runs repeat. */
export function nextId(state: LocalState, prefix: string): string {
  state.counter += 1;
  return `${prefix}_L${String(state.counter).padStart(13, "0")}`;
}

export function nowMs(state: LocalState): number {
  return state.settings.clock.now();
}

export function nowSeconds(state: LocalState): number {
  return Math.floor(nowMs(state) / 1000);
}

export function isLive(state: LocalState): boolean {
  return state.settings.mode === "live";
}
