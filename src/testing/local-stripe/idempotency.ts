import type { Answer, IdempotencyEntry } from "./answer.ts";
import { localStripeBounds } from "./bounds.ts";
import { isV2 } from "./route.ts";
import { nowMs, type LocalState } from "./state.ts";
import { refuse } from "./stripe-refusal.ts";

/** A call that holds a key, or the stored answer of the one that held it before. */
export type KeyClaim =
  | { readonly kind: "held"; readonly key: string }
  | { readonly kind: "replay"; readonly answer: Answer };

/** Claims a key for a POST; refuses a key in use, or one that was used for something else. */
export function claimKey(
  state: LocalState,
  call: { readonly key: string; readonly path: string; readonly form: string; readonly requestId: string },
): KeyClaim {
  const { key, path, form, requestId } = call;
  if (key.length > localStripeBounds.idempotencyKeyLengthMax) {
    refuse("idempotency.key_too_long", {
      message: `Idempotency keys can have up to ${String(localStripeBounds.idempotencyKeyLengthMax)} characters.`,
    });
  }
  const entry = state.idempotency.get(key);
  const now = nowMs(state);
  const kept = entry !== undefined && (entry.answer === null || now - entry.startedAt < horizonMs(state, entry.path));
  if (!kept) {
    state.idempotency.set(key, { path, form, startedAt: now, requestId, answer: null });
    return { kind: "held", key };
  }
  if (entry.path !== path || entry.form !== form) {
    refuse("idempotency.mismatch", { message: mismatchMessage(entry, path, key), type: "idempotency_error" });
  }
  if (entry.answer === null) {
    return refuse("idempotency.in_use", {
      status: 409,
      message: `There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): ${key}. Please try again later.`,
      type: "idempotency_error",
      code: "idempotency_key_in_use",
    });
  }
  const replayed = { "idempotent-replayed": "true", "original-request": entry.requestId };
  return { kind: "replay", answer: { ...entry.answer, headers: { ...entry.answer.headers, ...replayed } } };
}

function horizonMs({ settings }: LocalState, path: string): number {
  return isV2(path) ? localStripeBounds.idempotencyV2Ms : settings.idempotencyHorizonMs;
}

/** Ends a claim: keeps the answer for replay, or forgets the key when there is none to keep. */
export function settleKey(state: LocalState, key: string, answer: Answer | null): void {
  const entry = state.idempotency.get(key);
  if (answer === null || entry === undefined) {
    state.idempotency.delete(key);
  } else {
    entry.answer = answer;
  }
}

function mismatchMessage(entry: IdempotencyEntry, path: string, key: string): string {
  return entry.path === path
    ? `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`
    : `Keys for idempotent requests can only be used for the same endpoint they were first used for ('${entry.path}' vs '${path}'). Try using a key other than '${key}' if you meant to execute a different request.`;
}
