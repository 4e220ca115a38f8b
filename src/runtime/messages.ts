import type { Settings } from "../config/settings.ts";
import type { Notice } from "./notice.ts";
import type { SentFailure } from "./sent-failure.ts";

/** What the worker thread is started with. */
export interface WorkerOrder {
  readonly settings: Settings;
  /** The journal of this process; null for a service, which has none. */
  readonly ownWriter: string | null;
  /** When the app started: from then on its edited meters count. Null when they are in force already. */
  readonly adoptFrom: number | null;
  /** Whether this process also reports to the biller. */
  readonly reports: boolean;
}

/** A webhook call as it came: its bytes and its Stripe-Signature header, "" without one. */
export interface WebhookCall {
  readonly body: Uint8Array;
  readonly signature: string;
}

/** The HTTP status that a webhook call is answered with, and a sentence. */
export interface WebhookReply {
  readonly status: number;
  readonly text: string;
}

/** What the thread that answers questions is started with. */
export interface ReaderOrder {
  readonly settings: Settings;
}

/** One call of the HTTP service's Backend. */
export interface BackendCall {
  readonly kind: "call";
  readonly call: number;
  readonly name: string;
  readonly argument: unknown;
  /** Milliseconds UTC: nobody waits any more after this, so what was not begun by then is left alone. */
  readonly until: number;
}

/** How a call went. */
type BackendAnswer =
  | { readonly kind: "answer"; readonly call: number; readonly answer: unknown }
  | { readonly kind: "failure"; readonly call: number; readonly failure: SentFailure };

/** From the app's thread to the reader. */
export type ToReader = BackendCall | { readonly kind: "adopt"; readonly settings: Settings };

/** From the reader to the app's thread. */
export type FromReader = BackendAnswer | { readonly kind: "notice"; readonly notice: Notice };

/** From the app's thread to the worker. */
export type ToWorker =
  | BackendCall
  /** A configuration that was edited: its meters count from now on. */
  | { readonly kind: "adopt"; readonly call: number; readonly settings: Settings; readonly from: number }
  /** Everything written so far must be in the store before the answer. */
  | { readonly kind: "flush"; readonly call: number }
  | { readonly kind: "close"; readonly call: number }
  | ({ readonly kind: "webhook"; readonly call: number } & WebhookCall)
  /** Events of `durability: memory`, as journal lines. */
  | { readonly kind: "lines"; readonly lines: readonly string[] };

/** From the worker to the app's thread. */
export type FromWorker =
  | BackendAnswer
  /** The store is open. */
  | { readonly kind: "ready" }
  /** It cannot be opened, now; it is tried again. */
  | { readonly kind: "unopened"; readonly failure: SentFailure }
  | { readonly kind: "done"; readonly call: number; readonly error: string | null }
  | ({ readonly kind: "webhook"; readonly call: number } & WebhookReply)
  | { readonly kind: "taken"; readonly lines: number }
  | { readonly kind: "notice"; readonly notice: Notice };
