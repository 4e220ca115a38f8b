import type { IncomingMessage, ServerResponse } from "node:http";

import { isMeterbookError, type ErrorCode } from "../core/errors.ts";
import { ownMember } from "../core/own-member.ts";
import { limits } from "../engine/limits.ts";
import type { Clock, Logger } from "../engine/ports.ts";
import { admit, type AccessOptions, type Admission } from "./access.ts";
import { answer, answerProblem } from "./answer.ts";
import type { Backend } from "./backend.ts";
import { ENCODINGS, hasBody, readBody, type BodyLimits, type BodyReading } from "./body.ts";
import type { BodyClaim, BodyRoom } from "./body-room.ts";
import { headerLines } from "./credentials.ts";
import { readJsonBody } from "./json-body.ts";
import { judgeValues } from "./judged-call.ts";
import type { KnownKeys } from "./key-ring.ts";
import { busyProblem, inPlace, invalidProblem, inWords, NOT_THERE, problemOf, type Problem } from "./problem.ts";
import { readQuery } from "./query-params.ts";
import type { RateLimits } from "./rate-limit.ts";
import type { Caller, Route } from "./route.ts";
import type { RouteTable } from "./route-table.ts";

/** What every call is taken with. */
export interface Edge {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly random: (size: number) => Uint8Array;
  readonly logger: Logger;
  readonly keys: KnownKeys;
  readonly rates: RateLimits;
  readonly table: RouteTable;
  readonly basePath: string;
  readonly access: AccessOptions;
  /** For the bodies of all calls under way. */
  readonly room: BodyRoom;
}

/** What may be told of a call in logs and metrics. */
export interface CallFacts {
  readonly method: string;
  /** The path with its parameters' names; null where there is no route. */
  readonly route: string | null;
  /** Null before it is known who calls. */
  readonly author: string | null;
  /** Bytes of the body as it was sent. */
  readonly bytes: number;
}

interface Draft {
  method: string;
  route: string | null;
  /** How the route's wire tells mistakes beside ours. */
  mistakesAs: Route["mistakesAs"];
  /** Names in the path of a call that has no body; null where it has one. */
  bodilessNames: readonly string[] | null;
  author: string | null;
  bytes: number;
}

/** Takes one call from its first header to the last byte of its answer. Never fails: a fault of ours is a 500. */
export async function takeCall(edge: Edge, request: IncomingMessage, response: ServerResponse): Promise<CallFacts> {
  const facts: Draft = {
    method: request.method ?? "",
    route: null,
    mistakesAs: undefined,
    bodilessNames: null,
    author: null,
    bytes: 0,
  };
  const claim = edge.room.claim();
  try {
    const problem = await call(edge, { request, response, claim }, facts);
    if (problem !== null) answerProblem(request, response, inWords(problem, facts.mistakesAs));
  } catch (failure) {
    const problem = inPlace(problemOf(failure) ?? faultOf(edge, failure, facts), facts.bodilessNames);
    const isCustomers = facts.author?.startsWith("token:") === true && problem.status === 404;
    answerProblem(request, response, isCustomers ? NOT_THERE : inWords(problem, facts.mistakesAs));
    // Half an answer must not look like a whole one.
    if (!response.writableEnded) response.destroy();
  } finally {
    claim.release();
  }
  const { method, route, author, bytes } = facts;
  return { method, route, author, bytes };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly claim: BodyClaim;
}

/** Null when it was answered, or nobody waits any more. */
async function call(edge: Edge, exchange: Exchange, facts: Draft): Promise<Problem | null> {
  const { request, response } = exchange;
  const { path, search } = addressOf(request.url ?? "/", edge.basePath);
  const match = path === null ? ({ kind: "nothing" } as const) : edge.table.find(facts.method, path);
  if (match.kind === "nothing") return NOT_THERE;
  if (match.kind === "method") return notAllowed(match.allow);
  const { route, params } = match;
  facts.route = route.path;
  facts.mistakesAs = ownMember(route, "mistakesAs");
  if (route.body === undefined && route.rawBody !== true) facts.bodilessNames = Object.keys(params);
  const query = readQuery(search);
  const now = edge.clock.now();
  const admission = await admit(request, route, query.ok ? query.values : null, { ...edge.access, now });
  if (admission.kind === "refused") return admission.problem;
  const { caller } = admission;
  facts.author = caller.author;
  const limited = limitedProblem(edge, admission, now);
  if (limited !== null) return limited;
  if (!query.ok) return invalidProblem("The query has mistakes.", query.mistakes);
  const body = await bodyOf(edge, exchange, route, admission, facts);
  if (body.kind === "left") return null;
  if (body.kind === "refused") return body.problem;
  const judged = judgeValues(route, { params, query: query.values, body: body.value });
  if (!judged.ok) return invalidProblem("The call has mistakes.", judged.mistakes);
  const reply = await route.reply({ backend: edge.backend, caller, ...judged.values, now: edge.clock.now(), request });
  // What this process changed of keys is so for its next call.
  if (route.tag === "keys" && route.method !== "get") edge.keys.forget();
  await answer(request, response, reply);
  return null;
}

type CallBody =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "left" }
  | { readonly kind: "refused"; readonly problem: Problem };

type Admitted = Extract<Admission, { kind: "caller" }>;

async function bodyOf(
  edge: Edge,
  { request, claim }: Exchange,
  route: Route,
  admission: Admitted,
  facts: Draft,
): Promise<CallBody> {
  if (route.body === undefined && route.rawBody !== true) return { kind: "value", value: undefined };
  if (hasBody(request) && headerLines(request, "content-type").length > 1)
    return { kind: "refused", problem: invalidProblem("There are several Content-Type header lines.") };
  const body = await readBody(request, boundsOf(edge, admission), claim);
  facts.bytes = body.wireBytes;
  // Whatever becomes of them: what was refused cost as much to take.
  if (admission.bytes !== null)
    edge.rates.charge(bytesOf(admission.caller), admission.bytes, body.wireBytes, edge.clock.now());
  if (body.kind === "bytes")
    return route.rawBody === true ? { kind: "value", value: body.bytes } : jsonOf(body.bytes, request);
  if (body.kind === "taken") edge.logger.error({ code: "METER_OPTION_INVALID" }, TAKEN);
  return unreadBody(body);
}

/** Who holds a token is a stranger, and asks short questions. */
function boundsOf({ access }: Edge, { caller }: Admitted): BodyLimits {
  const { bodyBytes, inflatedBytes } = access.limits;
  if (caller.customer === null && caller.portal === null) return { bodyBytes, inflatedBytes };
  const most = limits.customerBodyBytesMax;
  return { bodyBytes: Math.min(bodyBytes, most), inflatedBytes: Math.min(inflatedBytes, most) };
}

function unreadBody(body: Exclude<BodyReading, { kind: "bytes" }>): CallBody {
  if (body.kind === "left") return { kind: "left" };
  if (body.kind === "full")
    return {
      kind: "refused",
      problem: busyProblem("Other calls hold all the room for bodies; nothing of this one was kept."),
    };
  if (body.kind === "taken")
    return { kind: "refused", problem: { status: 500, code: "METER_OPTION_INVALID", detail: TAKEN } };
  const headers: Record<string, string> = body.status === 415 ? { "accept-encoding": ENCODINGS } : {};
  return { kind: "refused", problem: { ...invalidProblem(body.message, [], body.status), headers } };
}

function jsonOf(bytes: Uint8Array, { headers }: IncomingMessage): CallBody {
  const json = readJsonBody(bytes, headers["content-type"]);
  return json.ok
    ? { kind: "value", value: json.value }
    : { kind: "refused", problem: invalidProblem(json.message, [], json.status) };
}

const TAKEN =
  "The body was parsed before the router of meterbook saw it, and its exact numbers are lost. Mount it before express.json().";

/** Bytes are charged when they are there; who owes some waits before the next call. */
function limitedProblem({ rates }: Edge, { caller, requests, bytes }: Admitted, now: number): Problem | null {
  const byCalls = requests === null ? 0 : rates.take(caller.author, requests, 1, now);
  const byBytes = byCalls > 0 || bytes === null ? 0 : rates.take(bytesOf(caller), bytes, 0, now);
  const waitMs = Math.max(byCalls, byBytes);
  if (waitMs === 0) return null;
  const detail = byCalls > 0 ? "Too many calls." : "Too many bytes were sent.";
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
  return { status: 429, code: "METER_RATE_LIMITED", detail, headers: { "retry-after": String(seconds) } };
}

function bytesOf({ author }: Caller): string {
  return `${author} bytes`;
}

function notAllowed(allow: readonly string[]): Problem {
  const methods = allow.join(", ");
  return {
    status: 405,
    code: "METER_REQUEST_INVALID",
    detail: `Here are only ${methods}.`,
    headers: { allow: methods },
  };
}

/** Path below the mount, and the query behind it; a null path is none of ours. */
function addressOf(url: string, basePath: string): { readonly path: string | null; readonly search: string } {
  const local = url.startsWith("/") ? url : localPart(url);
  const at = local.indexOf("?");
  const path = at === -1 ? local : local.slice(0, at);
  const search = at === -1 ? "" : local.slice(at + 1);
  if (basePath === "") return { path: path === "" ? "/" : path, search };
  if (path === basePath) return { path: "/", search };
  return { path: path.startsWith(`${basePath}/`) ? path.slice(basePath.length) : null, search };
}

/** The path of an absolute address, as proxies send it. */
function localPart(url: string): string {
  const after = url.indexOf("/", url.indexOf("://") + 3);
  return url.includes("://") && after !== -1 ? url.slice(after) : "/";
}

/** A fault of ours is logged with a name, and only the name is told. */
function faultOf({ logger, random }: Edge, failure: unknown, { method, route }: Draft): Problem {
  const instance = `urn:meterbook:fault:${Buffer.from(random(9)).toString("hex")}`;
  if (isMeterbookError(failure) && STORE_FAILURES.has(failure.code)) {
    logger.error({ code: failure.code, instance, method, route, error: failure }, "The store did not take a call.");
    return { ...STORE_AWAY, instance };
  }
  logger.error(
    { code: "METER_COMMAND_FAILED", instance, method, route, error: failure },
    "A call of the HTTP service failed.",
  );
  return { status: 500, code: "METER_COMMAND_FAILED", detail: "A fault of the service; it is logged.", instance };
}

/** A disk that is full or fails: the same call may do later, and what it says of files is nobody else's to know. */
const STORE_FAILURES: ReadonlySet<ErrorCode> = new Set(["METER_STORE_FAILED", "METER_STORE_UNREADABLE"]);
const STORE_AWAY = busyProblem(
  "The database cannot be read or written now; it is logged. Make the call again: events with the same source and id are stored once.",
);
