import type { Settings } from "../config/settings.ts";
import type { Notice } from "./notice.ts";

/** What the worker thread is started with. */
export interface WorkerOrder {
  readonly settings: Settings;
  readonly ownWriter: string;
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

/** From the app's thread to the worker. */
export type ToWorker =
  /** Everything written so far must be in the store before the answer. */
  | { readonly kind: "flush"; readonly call: number }
  | { readonly kind: "close"; readonly call: number }
  | ({ readonly kind: "webhook"; readonly call: number } & WebhookCall)
  /** Events of `durability: memory`, as journal lines. */
  | { readonly kind: "lines"; readonly lines: readonly string[] };

/** From the worker to the app's thread. */
export type FromWorker =
  /** The store is open. */
  | { readonly kind: "ready" }
  | { readonly kind: "done"; readonly call: number; readonly error: string | null }
  | ({ readonly kind: "webhook"; readonly call: number } & WebhookReply)
  | { readonly kind: "taken"; readonly lines: number }
  | { readonly kind: "notice"; readonly notice: Notice };
