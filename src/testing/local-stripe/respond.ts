import { setTimeout as wait } from "node:timers/promises";
import type { Answer } from "./answer.ts";
import type { BehaviourKey } from "./behaviours.ts";
import { checkRight, readApiKey } from "./credentials.ts";
import { conflictText, faultAnswer, faultRefusal, rateLimitText } from "./fault-answers.ts";
import { takeFault, type Fault } from "./faults.ts";
import { decodeForm, decodeJson, type FormTree } from "./form-body.ts";
import { claimKey, settleKey } from "./idempotency.ts";
import { takeToken } from "./rate-limit.ts";
import { findRoute, isV2, type Call, type Route } from "./route.ts";
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
  "idempotency.v2",
  "clock.moved",
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

/** What goes back. `release` frees what the call still holds once its connection is gone. */
export type Delivery = { readonly release: () => void } & (
  | { readonly how: "whole" | "truncated" | "cut"; readonly answer: Answer }
  | { readonly how: "drip"; readonly answer: Answer; readonly byteEveryMs: number }
  | { readonly how: "reset" | "hang" }
);

const nothingHeld = (): void => undefined;

/** Runs one call to its delivery. Never rejects for what a client sent. */
export async function respond(state: LocalState, request: ReadRequest): Promise<Delivery> {
  try {
    const { route, call } = admit(state, request);
    const fault = takeFault(state.faults, route.operation);
    const rejectLater = fault?.kind === "reject_later" ? fault.code : null;
    return await execute(state, request, { route, call: { ...call, rejectLater }, fault });
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
    decodedForm(request) ?? refuse("http.form_malformed", { message: "The request's parameters cannot be read." });
  const call = { state, path: found.path, form, requestId, idempotencyKey, rejectLater: null };
  return { route: found.route, call };
}

function decodedForm({ method, path, form }: ReadRequest): FormTree | null {
  return method === "POST" && isV2(path) ? decodeJson(form) : decodeForm(form);
}

interface Admitted {
  readonly route: Route;
  readonly call: Call;
  readonly fault: Fault | null;
}

async function execute(state: LocalState, request: ReadRequest, admitted: Admitted): Promise<Delivery> {
  const { fault, route, call } = admitted;
  if (fault?.kind === "reset" && fault.when === "before") {
    return { how: "reset", release: nothingHeld };
  }
  const instead = answerInstead(fault);
  if (instead !== null) {
    return whole(instead);
  }
  const mayHaveKey = request.method === "POST" || (request.method === "DELETE" && isV2(request.path));
  const key = mayHaveKey ? request.idempotencyKey : null;
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

/** The answer of a fault under which the call does not even begin. */
function answerInstead(fault: Fault | null): Answer | null {
  if (fault?.kind === "redirect" || (fault?.kind === "wrong_body" && fault.when === "before")) {
    return faultAnswer(fault);
  }
  const refused = fault === null || fault.kind === "server_error" ? null : faultRefusal(fault);
  return refused === null ? null : refusalAnswer(refused);
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
    return { how: "hang", release: () => free(null) };
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
      : { answer: refusalAnswer(failed), kept: !isV2(route.path) && (failing?.stored ?? true) };
  } catch (error) {
    return { answer: refusalAnswer(error), kept: false };
  }
}

function damaged(fault: Fault | null, answer: Answer): Delivery {
  if (fault?.kind === "reset" || fault?.kind === "hang") {
    return { how: fault.kind, release: nothingHeld };
  }
  if (fault?.kind === "truncated") {
    return { how: fault.cut === true ? "cut" : "truncated", answer, release: nothingHeld };
  }
  if (fault?.kind === "drip") {
    return { how: "drip", answer, byteEveryMs: fault.byteEveryMs, release: nothingHeld };
  }
  return whole(faultAnswer(fault) ?? answer);
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
