import { setTimeout as wait } from "node:timers/promises";
import type { Answer } from "./answer.ts";
import type { BehaviourKey } from "./behaviours.ts";
import { checkRight, readApiKey } from "./credentials.ts";
import { conflictText, faultRefusal, rateLimitText, takeFault, type Fault } from "./faults.ts";
import { decodeForm } from "./form-body.ts";
import { claimKey, settleKey } from "./idempotency.ts";
import { takeToken } from "./rate-limit.ts";
import { findRoute, type Call, type Route } from "./route.ts";
import { LOCAL_STRIPE_ROUTES } from "./routes.ts";
import { nowMs, type LocalState } from "./state.ts";
import { refuse, StripeRefusal } from "./stripe-refusal.ts";

/** The rows of the behaviours table that hold for every call. */
export const PIPELINE_BEHAVIOURS: readonly BehaviourKey[] = [
  "http.headers",
  "http.right_names",
  "idempotency.replay",
  "idempotency.stored_error",
  "idempotency.not_stored",
  "idempotency.refusal_not_stored",
  "idempotency.expiry",
  "idempotency.post_only",
];

/** A request as the transport read it. `form` is the raw query (GET, DELETE) or body text. */
export interface ReadRequest {
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  readonly form: string;
  readonly authorization: string | undefined;
  readonly idempotencyKey: string | null;
  readonly apiVersion: string | null;
}

/** What goes back. Null = no answer ever; `release` frees what the call still holds once its connection is gone. */
export interface Delivery {
  readonly how: "whole" | "truncated" | "reset" | "hang";
  readonly answer: Answer | null;
  readonly release: () => void;
}

const nothingHeld = (): void => undefined;

/** Runs one call to its delivery. Never rejects for what a client sent. */
export async function respond(state: LocalState, request: ReadRequest): Promise<Delivery> {
  try {
    const { route, call } = admit(state, request);
    const fault = takeFault(state.faults, route.operation);
    return await execute(state, request, { route, call, fault });
  } catch (error) {
    return whole(refusalAnswer(error));
  }
}

function admit(state: LocalState, request: ReadRequest): { readonly route: Route; readonly call: Call } {
  const key = readApiKey(state, request.authorization);
  const { method, path, requestId, idempotencyKey } = request;
  if (state.bucket !== null && !takeToken(state.bucket, nowMs(state))) {
    refuse("http.rate_limited", rateLimitText("global-rate"));
  }
  const found =
    findRoute(LOCAL_STRIPE_ROUTES, method, path) ??
    refuse("http.unknown_url", { status: 404, message: `Unrecognized request URL (${method}: ${path}).` });
  checkRight(state, key, found.route.right);
  const form =
    decodeForm(request.form) ?? refuse("http.form_malformed", { message: "The request's parameters cannot be read." });
  return { route: found.route, call: { state, path: found.path, form, requestId, idempotencyKey } };
}

interface Admitted {
  readonly route: Route;
  readonly call: Call;
  readonly fault: Fault | null;
}

async function execute(state: LocalState, request: ReadRequest, admitted: Admitted): Promise<Delivery> {
  const { fault, route, call } = admitted;
  if (fault?.kind === "reset" && fault.when === "before") {
    return { how: "reset", answer: null, release: nothingHeld };
  }
  const refused = fault === null || fault.kind === "server_error" ? null : faultRefusal(fault);
  if (refused !== null) {
    return whole(refusalAnswer(refused));
  }
  const key = request.method === "POST" ? request.idempotencyKey : null;
  const claim = key === null ? null : claimKey(state, { ...request, key });
  if (claim?.kind === "replay") {
    return damaged(fault, claim.answer);
  }
  const lane = state.settings.concurrencyConflicts ? (route.lane?.(call) ?? null) : null;
  if (lane !== null && state.lanes.has(lane)) {
    if (key !== null) {
      settleKey(state, key, null);
    }
    refuse("meter_event.concurrent", conflictText());
  }
  return inLane(state, key, lane, admitted);
}

async function inLane(
  state: LocalState,
  key: string | null,
  lane: string | null,
  admitted: Admitted,
): Promise<Delivery> {
  const { fault } = admitted;
  const free = (kept: Answer | null): void => {
    if (key !== null) {
      settleKey(state, key, kept);
    }
    if (lane !== null) {
      state.lanes.delete(lane);
    }
  };
  if (lane !== null) {
    state.lanes.add(lane);
  }
  if (fault?.kind === "hang" && fault.when === "before") {
    return { how: "hang", answer: null, release: () => free(null) };
  }
  if (state.settings.latencyMs > 0) {
    await wait(state.settings.latencyMs, undefined, { ref: false });
  }
  const { answer, kept } = takeEffect(admitted);
  free(kept ? answer : null);
  return damaged(fault, answer);
}

/** Runs the route, or lets it fail as the fault says; `kept` = stored for replay. */
function takeEffect({ route, call, fault }: Admitted): { readonly answer: Answer; readonly kept: boolean } {
  const failing = fault?.kind === "server_error" ? fault : null;
  const failed = failing === null ? null : faultRefusal(failing);
  try {
    const body = failing?.when === "before" ? {} : route.answer(call);
    return failed === null
      ? { answer: { status: 200, body: jsonText(body), headers: {} }, kept: true }
      : { answer: refusalAnswer(failed), kept: failing?.stored ?? true };
  } catch (error) {
    return { answer: refusalAnswer(error), kept: false };
  }
}

function damaged(fault: Fault | null, answer: Answer): Delivery {
  if (fault?.kind === "reset" || fault?.kind === "hang") {
    return { how: fault.kind, answer: null, release: nothingHeld };
  }
  return fault?.kind === "truncated" ? { how: "truncated", answer, release: nothingHeld } : whole(answer);
}

function whole(answer: Answer): Delivery {
  return { how: "whole", answer, release: nothingHeld };
}

/** The answer of a refusal, with the behaviour that it shows in a header of our own. */
export function refusalAnswer(error: unknown): Answer {
  if (!(error instanceof StripeRefusal)) {
    throw error;
  }
  return {
    status: error.status,
    body: jsonText(error.body),
    headers: { ...error.headers, "local-stripe-behaviour": error.behaviour },
  };
}

function jsonText(body: object): string {
  return `${JSON.stringify(body, null, 2)}\n`;
}
