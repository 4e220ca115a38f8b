import { bounds } from "./bounds.ts";
import type { ClientClock } from "./client-clock.ts";

/** What fetch must do; the platform's own does. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** One call to the service. */
export interface ServiceCall {
  readonly method: "GET" | "POST";
  /** From the service's url on: `/v1/events`. */
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
}

/** What became of one call: an answer, or none. */
export type Answer =
  | {
      readonly kind: "answered";
      readonly status: number;
      /** The body as JSON; null when it is none. */
      readonly body: unknown;
      /** What the answer says about the next try. */
      readonly retryAfterMs: number | null;
    }
  | { readonly kind: "unanswered"; readonly isTimeout: boolean; readonly cause: unknown };

/** Where calls go, and how. */
export interface ServiceOptions {
  readonly url: string;
  readonly apiKey: string | null;
  readonly timeoutMs: number;
  readonly fetch: Fetch;
  readonly clock: ClientClock;
}

/** Makes one call, once. `stop` ends it early. */
export async function callService(options: ServiceOptions, call: ServiceCall, stop: AbortSignal): Promise<Answer> {
  const { clock, timeoutMs } = options;
  const ending = new AbortController();
  let isTimeout = false;
  const cancel = clock.schedule(timeoutMs, () => {
    isTimeout = true;
    ending.abort();
  });
  const stopped = (): void => ending.abort();
  stop.addEventListener("abort", stopped);
  if (stop.aborted) stopped();
  try {
    const response = await options.fetch(`${options.url}${call.path}`, requestOf(options, call, ending.signal));
    const text = await response.text();
    return {
      kind: "answered",
      status: response.status,
      body: jsonOf(text),
      retryAfterMs: retryAfterMs(response.headers.get("retry-after"), clock.now()),
    };
  } catch (cause) {
    return { kind: "unanswered", isTimeout, cause };
  } finally {
    cancel();
    stop.removeEventListener("abort", stopped);
  }
}

function requestOf({ apiKey }: ServiceOptions, call: ServiceCall, signal: AbortSignal): RequestInit {
  const headers: Record<string, string> = { accept: "application/json, application/problem+json" };
  if (apiKey !== null) headers["authorization"] = `Bearer ${apiKey}`;
  if (call.contentType !== undefined) headers["content-type"] = call.contentType;
  // A redirect could take the key to another host.
  const init: RequestInit = { method: call.method, headers, signal, redirect: "manual" };
  return call.body === undefined ? init : { ...init, body: call.body };
}

function jsonOf(text: string): unknown {
  if (text.length > bounds.answerLength) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Seconds, or an HTTP date. */
function retryAfterMs(field: string | null, now: number): number | null {
  if (field === null) return null;
  if (/^\d{1,9}$/.test(field.trim())) return Number(field) * 1_000;
  const at = Date.parse(field);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
