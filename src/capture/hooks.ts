import { createHmac } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";

import type { HoldReason } from "../core/event.ts";
import { limits } from "../engine/limits.ts";
import { identityAtPaths, identityOf, type Identity, type IdentitySource, type LiveExchange } from "./identity.ts";
import type { HookRequest } from "./metered-request.ts";
import { hookFailure } from "./notices.ts";
import { isDeeper } from "./json-text.ts";
import { describeValue, type MeterOptions } from "./options.ts";
import { hearRejection, isPromise } from "./promise-guard.ts";

/** Metadata as JSON text, its absence, or why it could not be kept. */
export type MetadataText =
  | { readonly kind: "text"; readonly json: string }
  | { readonly kind: "none" }
  | { readonly kind: "fault"; readonly reason: HoldReason };

/** An answer that is there, or that follows. */
export type Answer<T> =
  | { readonly kind: "now"; readonly value: T }
  | { readonly kind: "later"; readonly value: Promise<T> };

/** What the hooks said of one exchange. */
export interface HookAnswers {
  readonly company: Answer<Identity>;
  readonly user: Answer<Identity>;
  readonly metadata: Answer<MetadataText>;
  readonly sessionToken: string | null;
  readonly apiVersion: string | null;
}

/** What running the hooks needs. `told` hears of each failure, once per hook in the notices. */
export interface HookSetup {
  readonly options: MeterOptions;
  readonly companySources: readonly IdentitySource[];
  readonly userSources: readonly IdentitySource[];
  readonly sessionKey: Uint8Array;
  readonly told: (hook: string, error: Error) => void;
  /** Runs `late` after so many milliseconds; answers how to call it off. */
  readonly after: (delayMs: number, late: () => void) => () => void;
}

type IdentifyHook = "identifyCompany" | "identifyUser";

const METADATA_FAILED: MetadataText = { kind: "fault", reason: "field_error" };
const NO_METADATA: Answer<MetadataText> = { kind: "now", value: { kind: "none" } };
const TIMEOUT: Identity = {
  kind: "fault",
  reason: "identify_timeout",
  detail: `no answer within ${limits.hookTimeoutMs} ms`,
};
const API_VERSION_LENGTH_MAX = 100;

/** Runs every hook once. Never throws: what a hook does wrong is a fault of the event. */
export function runHooks(setup: HookSetup, live: LiveExchange): HookAnswers {
  const { response } = live;
  const request = hookRequest(live);
  return {
    company: identify(setup, "identifyCompany", setup.companySources, live),
    user: identify(setup, "identifyUser", setup.userSources, live),
    metadata: setup.options.getMetadata === undefined ? NO_METADATA : metadata(setup, request, response),
    sessionToken: setup.options.getSessionToken === undefined ? null : sessionToken(setup, request, response),
    apiVersion: setup.options.getApiVersion === undefined ? null : apiVersion(setup, request, response),
  };
}

/** In the order of the settings; the first source that gives a value wins, and a source that fails ends the search. */
function identify(
  setup: HookSetup,
  name: IdentifyHook,
  sources: readonly IdentitySource[],
  live: LiveExchange,
): Answer<Identity> {
  try {
    const hookAt = sources.indexOf("hook");
    const before = identityAtPaths(hookAt === -1 ? sources : sources.slice(0, hookAt), live);
    if (before.kind !== "nobody" || hookAt === -1) return now(checked(setup, name, before));
    const answer: unknown = setup.options[name]?.(hookRequest(live), live.response);
    const rest = sources.length > hookAt + 1 ? identityAtPaths(sources.slice(hookAt + 1), live) : null;
    const decide = (value: unknown): Identity => {
      const found = checked(setup, name, identityOf(value));
      return found.kind === "nobody" && rest !== null ? checked(setup, name, rest) : found;
    };
    if (!isPromise(answer)) return now(decide(answer));
    return { kind: "later", value: settle(setup, name, answer, decide, failed, TIMEOUT) };
  } catch (error) {
    setup.told(name, hookFailure(name, "it threw", error));
    return now(failed());
  }
}

/** The request as hooks are promised it: their own framework made it what it is, and its additions stay unchecked. */
export function hookRequest({ request }: { readonly request: IncomingMessage }): HookRequest {
  trust(request);
  return request;
}

function trust(_request: IncomingMessage): asserts _request is HookRequest {
  // Nothing to check: `get` is Express's, and whoever calls it on another server hears a TypeError through onError.
}

function failed(): Identity {
  return { kind: "fault", reason: "identify_failed", detail: "the hook threw" };
}

function checked(setup: HookSetup, name: string, identity: Identity): Identity {
  if (identity.kind === "fault") setup.told(name, hookFailure(name, `${identity.reason}, ${identity.detail}`));
  return identity;
}

function metadata(setup: HookSetup, request: HookRequest, response: ServerResponse): Answer<MetadataText> {
  try {
    const answer: unknown = setup.options.getMetadata?.(request, response);
    if (!isPromise(answer)) return now(metadataText(setup, answer));
    const late: MetadataText = { kind: "fault", reason: "identify_timeout" };
    return {
      kind: "later",
      value: settle(
        setup,
        "getMetadata",
        answer,
        (value) => metadataText(setup, value),
        () => METADATA_FAILED,
        late,
      ),
    };
  } catch (error) {
    setup.told("getMetadata", hookFailure("getMetadata", "it threw", error));
    return now(METADATA_FAILED);
  }
}

/** Throws what JSON.stringify throws: a circle, or a getter's own error. */
function metadataText(setup: HookSetup, value: unknown): MetadataText {
  if (value === undefined || value === null) return { kind: "none" };
  const json: string | undefined = JSON.stringify(value, bigintText);
  if (json === undefined) {
    setup.told("getMetadata", hookFailure("getMetadata", `expected JSON; received ${describeValue(value)}`));
    return { kind: "fault", reason: "field_error" };
  }
  if (json.length > limits.bodyBytesMax) {
    setup.told("getMetadata", hookFailure("getMetadata", `more than ${limits.bodyBytesMax} characters of JSON`));
    return { kind: "fault", reason: "body_too_large" };
  }
  if (!isDeeper(json, limits.jsonDepthMax)) return { kind: "text", json };
  setup.told("getMetadata", hookFailure("getMetadata", `more than ${limits.jsonDepthMax} levels of JSON`));
  return { kind: "fault", reason: "body_too_deep" };
}

/** JSON.stringify's replacer: a bigint, which JSON lacks, keeps its digits as text. */
export function bigintText(_name: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}

/** A keyed hash, 32 hex digits: the same session can be recognised, its token not be found again. */
function sessionToken(setup: HookSetup, request: HookRequest, response: ServerResponse): string | null {
  const token = textOf(setup, "getSessionToken", request, response);
  return token === null ? null : createHmac("sha256", setup.sessionKey).update(token).digest("hex").slice(0, 32);
}

function apiVersion(setup: HookSetup, request: HookRequest, response: ServerResponse): string | null {
  return textOf(setup, "getApiVersion", request, response)?.slice(0, API_VERSION_LENGTH_MAX) ?? null;
}

function textOf(
  setup: HookSetup,
  name: "getSessionToken" | "getApiVersion",
  request: HookRequest,
  response: ServerResponse,
): string | null {
  try {
    const answer: unknown = setup.options[name]?.(request, response);
    if (answer === undefined || answer === null || answer === "") return null;
    if (typeof answer === "string" || typeof answer === "number") return String(answer);
    setup.told(name, hookFailure(name, `expected a text; received ${describeValue(answer)}`));
    // Its failure was told by type already.
    hearRejection(answer);
  } catch (error) {
    setup.told(name, hookFailure(name, "it threw", error));
  }
  return null;
}

/** Waits for a hook's promise no longer than limits.hookTimeoutMs. Never rejects. */
function settle<T>(
  setup: HookSetup,
  name: string,
  answer: PromiseLike<unknown>,
  use: (value: unknown) => T,
  failure: () => T,
  timeout: T,
): Promise<T> {
  return new Promise((resolve) => {
    const callOff = setup.after(limits.hookTimeoutMs, () => {
      setup.told(name, hookFailure(name, `no answer within ${limits.hookTimeoutMs} ms`));
      resolve(timeout);
    });
    Promise.resolve(answer)
      .then(use)
      .catch((error: unknown) => {
        setup.told(name, hookFailure(name, "it was rejected", error));
        return failure();
      })
      .finally(callOff)
      .then(resolve, () => resolve(failure()));
  });
}

function now<T>(value: T): Answer<T> {
  return { kind: "now", value };
}
