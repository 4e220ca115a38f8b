import type { IncomingMessage } from "node:http";

import type { ServerSettings } from "../config/settings.ts";
import { limits } from "../engine/limits.ts";
import type { KeyLimits } from "../engine/registry/api-keys.ts";
import type { CustomerTokens } from "../engine/registry/customer-tokens.ts";
import type { PortalToken } from "../engine/registry/portal-tokens.ts";
import { readCredentials, type Credentials } from "./credentials.ts";
import type { KnownKeys } from "./key-ring.ts";
import { isOwnMachine } from "./open-access.ts";
import { NOT_THERE, type Problem } from "./problem.ts";
import type { QueryValues } from "./query-params.ts";
import type { Rate } from "./rate-limit.ts";
import type { Caller, Route } from "./route.ts";

/** Who makes a call and what that may use up, or why it is not let in. */
export type Admission =
  | { readonly kind: "caller"; readonly caller: Caller; readonly requests: Rate | null; readonly bytes: Rate | null }
  | { readonly kind: "refused"; readonly problem: Problem };

export interface AccessOptions {
  readonly keys: KnownKeys;
  readonly tokens: CustomerTokens;
  /** The living portal token with this text; null where there is none. */
  readonly findPortalToken: (text: string) => Promise<PortalToken | null>;
  readonly limits: ServerSettings["limits"];
  /** Whether programs of this machine need no key as long as there never was one. */
  readonly openOnLoopback: boolean;
}

const NOBODY: Caller = { author: "nobody", scopes: [], customer: null, portal: null };
const LOCAL: Caller = { author: "local", scopes: ["admin"], customer: null, portal: null };

/**
 * Decides who may make a call, before anything of it is read but its address: so an answer cannot tell what is there to
 * somebody who may not see it. A customer's token gets one answer for all that is not its own, the one for a wrong id.
 */
export function admit(
  request: IncomingMessage,
  route: Route,
  query: QueryValues | null,
  options: AccessOptions & { readonly now: number },
): Admission | Promise<Admission> {
  if (route.access === "open") return { kind: "caller", caller: NOBODY, requests: null, bytes: null };
  const shown = readCredentials(request, query);
  if (shown.kind === "unclear") return refuse({ status: 400, code: "METER_REQUEST_INVALID", detail: shown.message });
  if (route.access === "portal") return admitPortal(shown, options);
  if (shown.kind === "none") return admitOwnMachine(request, options);
  return shown.text.startsWith("mbt_")
    ? admitCustomer(shown.text, route, options)
    : admitKey(shown.text, route, options);
}

async function admitOwnMachine(request: IncomingMessage, options: AccessOptions): Promise<Admission> {
  if (options.openOnLoopback && isOwnMachine(request) && (await options.keys.isWithoutKeys()))
    return admitted(LOCAL, NO_LIMITS, options.limits);
  return refuse(unauthorized("This needs a key: Authorization: Bearer <key>."));
}

async function admitKey(text: string, route: Route, { keys, limits: standard }: AccessOptions): Promise<Admission> {
  const key = await keys.find(text);
  if (key === null) return refuse(unauthorized("The key is unknown, revoked or expired."));
  const wanted = route.access === "token" ? "read" : route.access;
  const may = key.scopes.some((scope) => scope === wanted || scope === "admin");
  if (!may) return refuse({ status: 403, code: "METER_FORBIDDEN", detail: `The key has no scope ${wanted}.` });
  return admitted({ author: `key:${key.id}`, scopes: key.scopes, customer: null, portal: null }, key.limits, standard);
}

function admitCustomer(
  text: string,
  route: Route,
  { tokens, now }: AccessOptions & { readonly now: number },
): Admission {
  const grant = tokens.read(text, now);
  if (grant === null) return refuse(unauthorized("The token is not valid, or has expired."));
  if (route.access !== "token") return refuse(NOT_THERE);
  const { customer: id, meters } = grant;
  const caller = { author: `token:${id}`, scopes: [], customer: { id, meters }, portal: null };
  return { kind: "caller", caller, requests: CUSTOMERS_RATE, bytes: null };
}

/** Keys do not open a portal and portal tokens open nothing else, so that a token can never show more than its subject. */
async function admitPortal(shown: Credentials, { findPortalToken }: AccessOptions): Promise<Admission> {
  // What cannot be one is not looked up: everybody may try.
  const token = shown.kind === "bearer" && shown.text.startsWith("mbp_") ? await findPortalToken(shown.text) : null;
  if (token === null)
    return refuse(
      unauthorized("A portal token is wanted; this one may have expired, or been ended.", "meterbook portal"),
    );
  const { subject, meters } = token;
  const caller = { author: `portal:${subject}`, scopes: [], customer: null, portal: { subject, meters } };
  return { kind: "caller", caller, requests: CUSTOMERS_RATE, bytes: null };
}

const CUSTOMERS_RATE: Rate = { perSecond: limits.customerCallsPerSecond, burst: limits.customerCallsPerSecond };

const NO_LIMITS: KeyLimits = { requestsPerSecond: null, burst: null, bytesPerSecond: null };

function admitted(caller: Caller, own: KeyLimits, standard: ServerSettings["limits"]): Admission {
  const perSecond = own.requestsPerSecond ?? standard.requestsPerSecond;
  const bytes = own.bytesPerSecond ?? standard.bytesPerSecond;
  return {
    kind: "caller",
    caller,
    requests: perSecond === null ? null : { perSecond, burst: own.burst ?? perSecond },
    bytes: bytes === null ? null : { perSecond: bytes, burst: bytes },
  };
}

function refuse(problem: Problem): Admission {
  return { kind: "refused", problem };
}

function unauthorized(detail: string, realm = "meterbook"): Problem {
  return {
    status: 401,
    code: "METER_UNAUTHORIZED",
    detail,
    headers: { "www-authenticate": `Bearer realm="${realm}"` },
  };
}
