import type { Json } from "../core/event.ts";
import type { Guide } from "../core/guide.ts";
import type { MeterTypeDraft } from "../core/meter-type.ts";
import type { MeterDefinition } from "../core/meter.ts";

export type Durability = "process" | "power" | "memory";

/** The configuration after reading: defaults filled in, durations in milliseconds, paths absolute, every reference checked. */
export interface Settings {
  readonly version: 1;
  /** Absolute path of the file it came from; null when given as an object. */
  readonly file: string | null;
  readonly storage: {
    /** Absolute path of the SQLite file; the journal is the folder `<path>-journals`. */
    readonly path: string;
    /** Raw events are deleted after this; null = kept for ever. */
    readonly keepEventsMs: number | null;
    readonly durability: Durability;
  };
  readonly identity: {
    /** `hook` or field paths over the live request: `request.user.companyId`. First that gives a value wins. */
    readonly companyId: readonly string[];
    readonly userId: readonly string[];
    readonly unknown: "hold" | "drop";
  };
  /** Computed fields: name → CEL expression. */
  readonly fields: Readonly<Record<string, string>>;
  readonly meters: readonly MeterDefinition[];
  /** Validated now, rated by a later release. */
  readonly plans: readonly PlanSettings[];
  readonly billing: { readonly stripe: StripeSettings | null };
  readonly server: ServerSettings;
  /** Meter types, guides and customers' meters to provision; absent where the configuration speaks of none. */
  readonly metering?: CustomerMeterSettings;
}

/** Where the HTTP service listens, and what it takes. */
export interface ServerSettings {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  /** Before every path, without a slash at its end; empty for none. */
  readonly basePath: string;
  /** Signs customers' tokens; null = a random one of this process. Never written to a log or file. */
  readonly tokenSecret: string | null;
  readonly metrics: boolean;
  readonly limits: {
    /** Of one body as it is sent, and after inflating. */
    readonly bodyBytes: number;
    readonly inflatedBytes: number;
    readonly batchEvents: number;
    readonly eventBytes: number;
    /** Of each key that has no limits of its own; null = none. */
    readonly requestsPerSecond: number | null;
    readonly bytesPerSecond: number | null;
  };
}

/** What is metered per customer with final records. */
export interface CustomerMeterSettings {
  readonly meterTypes: readonly MeterTypeDraft[];
  readonly guides: readonly Guide[];
  readonly buckets: readonly {
    readonly userId: string;
    /** Name of its type. */
    readonly meterType: string;
    readonly guide: string;
    readonly customFields: { readonly [field: string]: Json };
    readonly deleteOnReset: boolean;
  }[];
  /** How long after its end a period waits for late records. */
  readonly latenessMs: number;
  readonly sinks: readonly SinkSettings[];
}

/** Where final records go. */
export type SinkSettings =
  | {
      readonly name: string;
      readonly kind: "file";
      /** Absolute. */
      readonly path: string;
      readonly format: "ndjson" | "csv";
    }
  | {
      readonly name: string;
      readonly kind: "webhook";
      readonly url: string;
      /** Key of the signature; null = unsigned. Never written to a log or file. */
      readonly secret: string | null;
      /** Whether addresses of private networks may be called. */
      readonly allowPrivate: boolean;
    };

export interface PlanSettings {
  readonly key: string;
  readonly name: string;
  readonly currency: string;
  readonly every: "day" | "week" | "month" | "year";
  readonly prices: readonly PriceSettings[];
}

/** Amounts are decimal strings in the currency's major unit. */
export interface PriceSettings {
  readonly meter: string | null;
  readonly model: "perUnit" | "graduated" | "volume" | "package" | "flat";
  readonly unitAmount: string | null;
  readonly flatAmount: string | null;
  readonly packageSize: string | null;
  readonly tiers: readonly {
    readonly upTo: string | null;
    readonly unitAmount: string | null;
    readonly flatAmount: string | null;
  }[];
}

export interface StripeSettings {
  /** Null = not given: usage is kept and not reported. Never written to a log or file. */
  readonly apiKey: string | null;
  /** Signing secrets of webhook endpoints, between blanks; null = not given: webhooks are not taken. As secret as the key. */
  readonly webhookSecret: string | null;
  readonly mode: "test" | "live";
  /** Base URL of another Stripe (a local one); null = Stripe's own. */
  readonly apiBase: string | null;
  /** Where a customer's company id stands: `customer.metadata.<key>`, or `customer.id`. */
  readonly companyIdAt: { readonly kind: "metadata"; readonly key: string } | { readonly kind: "customerId" };
  readonly unmatchedCustomer: "hold" | "create" | "error";
  /** Usage that no subscription of its customer bills: held until one does, or sent and on no invoice. */
  readonly noSubscription: "hold" | "send";
  /** Everything but the call: reports are made and kept as `shadow`, and never sent. */
  readonly shadow: boolean;
  readonly report: {
    readonly windowMs: number;
    /** How often windows are closed and sent. */
    readonly everyMs: number;
    /** How long after its end a window waits for late events. */
    readonly latenessMs: number;
    /** The biller's own wait before it finalises an invoice; windows are closed well before it ends. */
    readonly graceMs: number;
    /** Fraction digits sent; 0 = whole numbers with the rest carried. At most 15 significant digits in all. */
    readonly fractionDigits: number;
  };
}
