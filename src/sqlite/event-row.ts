import type {
  EventName,
  HeaderValues,
  HoldReason,
  Json,
  RequestFacts,
  ResponseFacts,
  UsageEvent,
} from "../core/event.ts";
import { ownMember } from "../core/own-member.ts";
import type { Names } from "./names.ts";
import { originalText, storedText } from "./stored-text.ts";

/** Columns of an event in the order in which eventColumns() gives and eventOfRow() takes them. */
export const EVENT_COLUMNS =
  "seq, id, source, type, time, recorded_at, company, user, method, path, route, status, duration_ms, aborted, shape, rest";
export const EVENT_COLUMN_COUNT = EVENT_COLUMNS.split(",").length;

/** Bits of `shape`: what the other columns cannot tell apart. The usual event has none, and 0 takes no byte. */
const NO_REQUEST = 1;
const NO_RESPONSE = 2;
const ROUTE_IS_NULL = 4;
const NO_PATH = 8;

/** A row as the driver gives it with raw(). */
export type EventRow = readonly [
  seq: number,
  id: string,
  source: number,
  type: number,
  time: number,
  recordedAt: number | null,
  company: number | null,
  user: number | null,
  method: number | null,
  path: string | null,
  route: number | null,
  status: number | null,
  durationMs: number | null,
  aborted: number | null,
  shape: number,
  rest: string | null,
];

/** The parts of an event without a column of their own, under short keys. */
interface Rest {
  qh?: HeaderValues | undefined;
  qq?: Readonly<Record<string, string | readonly string[]>> | undefined;
  qp?: Readonly<Record<string, string>> | undefined;
  qb?: Json | undefined;
  sh?: HeaderValues | undefined;
  sb?: Json | undefined;
  m?: Json | undefined;
  v?: Readonly<Record<string, string>> | undefined;
  t?: string | undefined;
  a?: string | undefined;
  f?: Readonly<Record<string, HoldReason>> | undefined;
  c?: EventName | undefined;
  u?: string | undefined;
  d?: Json | undefined;
  e?: Readonly<Record<string, Json>> | undefined;
}

/** Appends the column values of an event to a list of parameters. */
export function pushEventColumns(parameters: unknown[], names: Names, seq: number, event: UsageEvent): void {
  const request = ownMember(event, "request");
  const response = ownMember(event, "response");
  const route = request && ownMember(request, "route");
  const path = request && ownMember(request, "path");
  const aborted = ownMember(event, "aborted");
  let shape = 0;
  if (request === undefined) shape |= NO_REQUEST;
  if (response === undefined) shape |= NO_RESPONSE;
  if (route === null) shape |= ROUTE_IS_NULL;
  if (path === undefined && request !== undefined) shape |= NO_PATH;
  parameters.push(
    seq,
    storedText(event.id),
    names.code(event.source),
    names.code(event.type),
    event.time,
    ownMember(event, "recordedAt") ?? null,
    names.codeOrNull(event.company),
    names.codeOrNull(event.user),
    names.codeOrNull(request && ownMember(request, "method")),
    path === undefined || path === route ? null : storedText(path),
    names.codeOrNull(route),
    (response && ownMember(response, "status")) ?? null,
    ownMember(event, "durationMs") ?? null,
    aborted === undefined ? null : Number(aborted),
    shape,
    restText(event),
  );
}

/** The event that pushEventColumns() was given, to the last member. */
export function eventOfRow(row: EventRow, names: Names): UsageEvent {
  const [, id, source, type, time, recordedAt, company, user, , , , , durationMs, aborted, shape, restJson] = row;
  // Without a prototype: what a polluted one has must not look like a member of this event.
  const rest: Rest = Object.assign(Object.create(null), restJson === null ? {} : JSON.parse(restJson));
  return {
    source: names.text(source),
    id: originalText(id),
    type: names.text(type),
    time,
    ...(recordedAt === null ? {} : { recordedAt }),
    company: company === null ? null : names.text(company),
    user: user === null ? null : names.text(user),
    ...(shape & NO_REQUEST ? {} : { request: requestOf(row, rest, names) }),
    ...(shape & NO_RESPONSE ? {} : { response: responseOf(row, rest) }),
    ...(rest.m === undefined ? {} : { metadata: rest.m }),
    ...(rest.u === undefined ? {} : { subject: rest.u }),
    ...(rest.d === undefined ? {} : { data: rest.d }),
    ...(rest.e === undefined ? {} : { attributes: rest.e }),
    ...(rest.v === undefined ? {} : { values: rest.v }),
    ...(durationMs === null ? {} : { durationMs }),
    ...(aborted === null ? {} : { aborted: aborted === 1 }),
    ...(rest.t === undefined ? {} : { sessionToken: rest.t }),
    ...(rest.a === undefined ? {} : { apiVersion: rest.a }),
    ...(rest.f === undefined ? {} : { faults: rest.f }),
    ...(rest.c === undefined ? {} : { corrects: rest.c }),
  };
}

function requestOf(row: EventRow, rest: Rest, names: Names): RequestFacts {
  const [, , , , , , , , method, path, route, , , , shape] = row;
  const routeText = route === null ? null : names.text(route);
  const pathText = path === null ? routeText : originalText(path);
  return {
    ...(method === null ? {} : { method: names.text(method) }),
    ...(shape & NO_PATH || pathText === null ? {} : { path: pathText }),
    ...(routeText === null && !(shape & ROUTE_IS_NULL) ? {} : { route: routeText }),
    ...(rest.qh === undefined ? {} : { headers: rest.qh }),
    ...(rest.qq === undefined ? {} : { query: rest.qq }),
    ...(rest.qp === undefined ? {} : { params: rest.qp }),
    ...(rest.qb === undefined ? {} : { body: rest.qb }),
  };
}

function responseOf(row: EventRow, rest: Rest): ResponseFacts {
  const status = row[11];
  return {
    ...(status === null ? {} : { status }),
    ...(rest.sh === undefined ? {} : { headers: rest.sh }),
    ...(rest.sb === undefined ? {} : { body: rest.sb }),
  };
}

function restText(event: UsageEvent): string | null {
  const request = ownMember(event, "request");
  const response = ownMember(event, "response");
  // Members that are undefined have no text.
  const rest: Rest = {};
  if (request !== undefined) {
    rest.qh = ownMember(request, "headers");
    rest.qq = ownMember(request, "query");
    rest.qp = ownMember(request, "params");
    rest.qb = ownMember(request, "body");
  }
  if (response !== undefined) {
    rest.sh = ownMember(response, "headers");
    rest.sb = ownMember(response, "body");
  }
  rest.m = ownMember(event, "metadata");
  rest.u = ownMember(event, "subject");
  rest.d = ownMember(event, "data");
  rest.e = ownMember(event, "attributes");
  rest.v = ownMember(event, "values");
  rest.t = ownMember(event, "sessionToken");
  rest.a = ownMember(event, "apiVersion");
  rest.f = ownMember(event, "faults");
  rest.c = ownMember(event, "corrects");
  const text = JSON.stringify(rest);
  return text === "{}" ? null : text;
}
