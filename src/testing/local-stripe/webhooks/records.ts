/** Where events are sent: a v1 webhook endpoint, or a v2 event destination. */
export interface WebhookRecord {
  readonly id: string;
  readonly api: "v1" | "v2";
  /** Milliseconds. */
  readonly createdMs: number;
  url: string;
  /** Names of event types, or `*`. */
  events: readonly string[];
  /** A snapshot holds the object, a thin event only names it. */
  readonly payload: "snapshot" | "thin";
  /** The newest first; older ones sign too until they expire. */
  secrets: readonly WebhookSecret[];
  isEnabled: boolean;
  readonly name: string;
  readonly description: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

interface WebhookSecret {
  readonly secret: string;
  /** Milliseconds; null = not rolled. */
  readonly expiresMs: number | null;
}

/** An event on its way to one webhook. */
export interface PendingDelivery {
  readonly webhook: string;
  readonly event: string;
  readonly type: string;
  readonly body: string;
  readonly dueMs: number;
  /** Attempts that failed so far. */
  readonly attempts: number;
  /** When the first attempt was due. */
  readonly firstDueMs: number;
}

/** One attempt to deliver. Status null = no answer came. */
export interface LoggedDelivery {
  readonly at: number;
  readonly webhook: string;
  readonly url: string;
  readonly event: string;
  readonly type: string;
  /** 1 for the first. */
  readonly attempt: number;
  readonly status: number | null;
}

/** What goes wrong on the way of all webhooks from now on. */
export interface WebhookDisturbance {
  /** Further copies of each attempt; 0 = none. */
  readonly duplicates: number;
  /** Whether those that are due together go newest first. */
  readonly newestFirst: boolean;
  /** How long after the event the first attempt is made. */
  readonly delayMs: number;
}

/** An event of the v2 API. */
export interface ThinEvent {
  readonly id: string;
  readonly type: string;
  readonly createdMs: number;
  readonly related: { readonly id: string; readonly type: string; readonly url: string } | null;
  /** Only answered when the event is fetched; null = has none. */
  readonly data: object | null;
  /** The snapshot event that says the same; null = there is none. */
  readonly snapshot: string | null;
}
