import type { IncomingMessage, ServerResponse } from "node:http";

import { checkIdentifier } from "../core/event-rules.ts";
import type { HoldReason } from "../core/event.ts";
import { compilePath, type FieldPath } from "../core/field-path.ts";
import { requestHeader, requestHeaders } from "./header-values.ts";
import { describeValue } from "./options.ts";

/** Who was found for one role, or why nobody could be. `detail` is for onError. */
export type Identity =
  | { readonly kind: "known"; readonly id: string }
  | { readonly kind: "nobody" }
  | { readonly kind: "fault"; readonly reason: HoldReason; readonly detail: string };

export const NOBODY: Identity = { kind: "nobody" };

/** A hook's or a path's answer as an identity; answers of a wrong type are refused, never turned into text by force. */
export function identityOf(answer: unknown): Identity {
  const id =
    typeof answer === "object" && answer !== null && !Array.isArray(answer) && "id" in answer ? answer.id : answer;
  if (id === undefined || id === null || id === "") return answer === id ? NOBODY : badType(answer);
  const text = identifierText(id);
  if (text === null) return badType(answer);
  const fault = checkIdentifier(text);
  return fault === null
    ? { kind: "known", id: text }
    : {
        kind: "fault",
        reason: "bad_identifier",
        // Not the text itself: what is too long for an identifier is often a token, and this is logged.
        detail: `a text of ${text.length} characters is too long, or has control characters`,
      };
}

/** Text of an identifier; null for what is no identifier, such as 0.1 + 0.2 or an integer beyond 2^53. */
export function identifierText(value: unknown): string | null {
  if (typeof value === "string") return value;
  if (typeof value === "bigint" || Number.isSafeInteger(value)) return String(value);
  return null;
}

/** Where one role's identity is looked for, in order: the hook, or paths over the live request and response. */
export type IdentitySource = "hook" | LivePath;

interface LivePath {
  readonly text: string;
  read(live: LiveExchange): unknown;
}

/** What identity paths look into. Bodies come from a parser where there was one, else from the bytes that passed by. */
export interface LiveExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  body(side: "request" | "response"): unknown;
}

/**
 * Compiles the `identity` lists of the settings. A hook that is given in code but not listed comes first: code that was
 * written to identify must never be passed over in silence.
 */
export function identitySources(paths: readonly string[], hasHook: boolean): readonly IdentitySource[] {
  const listed = paths.filter((path) => path !== "hook" || hasHook);
  const ordered = hasHook && !listed.includes("hook") ? ["hook", ...listed] : listed;
  return ordered.map((path) => (path === "hook" ? "hook" : livePath(path)));
}

/** The first path that gives a value. Nobody when none does. */
export function identityAtPaths(sources: readonly IdentitySource[], live: LiveExchange): Identity {
  for (const source of sources) {
    if (source === "hook") continue;
    const found = identityOf(source.read(live));
    if (found.kind !== "nobody") return found;
  }
  return NOBODY;
}

/**
 * A path over the live objects. Below their first name only own properties count. That first name may be inherited,
 * since Express and Node define `headers`, `query`, `ip` and others on the prototype.
 */
function livePath(text: string): LivePath {
  const path = compilePath(text);
  const [side, name] = path.scope;
  return { text, read: (live) => path.read(liveRoot(path, side, name, live)) };
}

function liveRoot(path: FieldPath, side: string | undefined, name: string | undefined, exchange: LiveExchange): object {
  if (side !== "request" && side !== "response") return {};
  if (name === undefined || name === "__proto__" || name === "constructor") return {};
  if (name === "body") return { [side]: { body: exchange.body(side) } };
  if (side === "request" && name === "headers") return { request: { headers: sentHeaders(exchange.request, path) } };
  return { [side]: { [name]: Reflect.get(exchange[side], name) as unknown } };
}

/** From the raw list: a header sent twice is a list, which is refused as an identifier, and not the first of two. */
function sentHeaders(request: IncomingMessage, path: FieldPath): object {
  const name = path.segments?.[2];
  if (name === undefined) return requestHeaders(request.rawHeaders);
  const value = requestHeader(request.rawHeaders, name);
  return value === undefined ? {} : { [name]: value };
}

function badType(answer: unknown): Identity {
  return {
    kind: "fault",
    reason: "identify_bad_type",
    detail: `expected a text, a number or {id}; received ${describeValue(answer)}`,
  };
}
