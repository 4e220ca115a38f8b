import type { Decimal } from "../../core/decimal.ts";
import type { Clock } from "../../engine/ports.ts";
import type { Agenda } from "./agenda.ts";
import type { IdempotencyEntry } from "./answer.ts";
import type { InvoiceRecord, PriceRecord, ProductRecord, SubscriptionRecord } from "./billing/records.ts";
import type { PendingFault } from "./faults.ts";
import type { TokenBucket } from "./rate-limit.ts";
import type { ErrorWindow } from "./validation/error-report.ts";
import type {
  LoggedDelivery,
  PendingDelivery,
  ThinEvent,
  WebhookDisturbance,
  WebhookRecord,
} from "./webhooks/records.ts";

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
  readonly searchAvailable: boolean;
  readonly idempotencyHorizonMs: number;
  readonly identifierHorizonMs: number;
  readonly concurrencyConflicts: boolean;
  readonly latencyMs: number;
  /** Judge meter events after the summary lag and answer 200 meanwhile. */
  readonly validateLater: boolean;
  /** Most sample errors of one kind in an error report. */
  readonly errorSamplesMax: number;
  /** What samples name an event by: its identifier, or the Idempotency-Key of its call. */
  readonly errorSampleNames: "identifier" | "idempotency_key";
  /** From a period's end to the finalisation of its invoice. */
  readonly graceMs: number;
  /** Told of each call once it is answered or cut. */
  readonly onCall: (call: LoggedCall) => void;
  /** Told of each attempt to deliver a webhook. */
  readonly onDelivery: (attempt: LoggedDelivery) => void;
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

/** What is remembered of every meter event that got a 200, by its identifier. */
export interface Receipt {
  readonly identifier: string;
  readonly eventName: string;
  /** Milliseconds, with the arrival number that orders equal times. */
  readonly receivedAt: number;
  readonly arrival: number;
  cancelled: boolean;
}

/** An event that passed all checks, so it counts unless it is cancelled. */
export interface MeterEventRecord extends Receipt {
  readonly meter: MeterRecord;
  readonly customer: string;
  /** Seconds. */
  readonly timestamp: number;
  /** Null for a count meter whose payload has no value. */
  readonly value: Decimal | null;
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
  /** How far this Stripe's clock stands ahead of the one it was given; negative = behind. */
  clockOffsetMs: number;
  readonly agenda: Agenda;
  /** How long a customer's change is not found by search, and an event not in summaries. */
  readonly lags: { searchMs: number; summaryMs: number };
  /** In order of creation, deleted ones too. */
  readonly customers: Map<string, CustomerRecord>;
  readonly meters: Map<string, MeterRecord>;
  /** By `meterEventsKey`, in order of arrival. */
  readonly meterEvents: Map<string, MeterEventRecord[]>;
  readonly identifiers: Map<string, Receipt>;
  readonly accountEvents: AccountEvent[];
  readonly products: Map<string, ProductRecord>;
  readonly prices: Map<string, PriceRecord>;
  readonly subscriptions: Map<string, SubscriptionRecord>;
  readonly invoices: Map<string, InvoiceRecord>;
  readonly thinEvents: ThinEvent[];
  /** By meter and start of the validation window. */
  readonly errorWindows: Map<string, ErrorWindow>;
  readonly webhooks: Map<string, WebhookRecord>;
  /** Not delivered yet, in order of the events. */
  deliveries: PendingDelivery[];
  readonly deliveryLog: LoggedDelivery[];
  disturbance: WebhookDisturbance;
  readonly idempotency: Map<string, IdempotencyEntry>;
  /** (customer, meter) lanes with a call in flight. */
  readonly lanes: Set<string>;
  readonly faults: PendingFault[];
  readonly calls: LoggedCall[];
  bucket: TokenBucket | null;
  counter: number;
}

export function emptyState(
  settings: LocalStripeSettings,
  lags: LocalState["lags"],
  bucket: TokenBucket | null,
): LocalState {
  return {
    settings,
    clockOffsetMs: 0,
    agenda: { jobs: [], momentMs: null },
    lags,
    customers: new Map(),
    meters: new Map(),
    meterEvents: new Map(),
    identifiers: new Map(),
    accountEvents: [],
    products: new Map(),
    prices: new Map(),
    subscriptions: new Map(),
    invoices: new Map(),
    thinEvents: [],
    errorWindows: new Map(),
    webhooks: new Map(),
    deliveries: [],
    deliveryLog: [],
    disturbance: { duplicates: 0, newestFirst: false, delayMs: 0 },
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

/** The time of this Stripe: while due work runs, the moment at which it was due. */
export function nowMs(state: LocalState): number {
  return state.agenda.momentMs ?? clockMs(state);
}

/** What this Stripe's clock shows, due work or not. */
export function clockMs(state: LocalState): number {
  return state.settings.clock.now() + state.clockOffsetMs;
}

export function nowSeconds(state: LocalState): number {
  return Math.floor(nowMs(state) / 1000);
}

export function isLive(state: LocalState): boolean {
  return state.settings.mode === "live";
}
