import type {
  EventName,
  HeaderValues,
  HoldReason,
  Json,
  RequestFacts,
  ResponseFacts,
  UsageEvent,
} from "../core/event.ts";
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
  qh?: HeaderValues;
  qq?: Readonly<Record<string, string | readonly string[]>>;
  qp?: Readonly<Record<string, string>>;
  qb?: Json;
  sh?: HeaderValues;
  sb?: Json;
  m?: Json;
  v?: Readonly<Record<string, string>>;
  t?: string;
  a?: string;
  f?: Readonly<Record<string, HoldReason>>;
  c?: EventName;
}

/** Appends the column values of an event to a list of parameters. */
export function pushEventColumns(parameters: unknown[], names: Names, seq: number, event: UsageEvent): void {
  const { request, response } = event;
  const route = request?.route;
  const path = request?.path;
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
    event.recordedAt ?? null,
    names.codeOrNull(event.company),
    names.codeOrNull(event.user),
    names.codeOrNull(request?.method),
    path === undefined || path === route ? null : storedText(path),
    names.codeOrNull(route),
    response?.status ?? null,
    event.durationMs ?? null,
    event.aborted === undefined ? null : Number(event.aborted),
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
  const { request, response } = event;
  const rest: Rest = {};
  if (request !== undefined) {
    if (request.headers !== undefined) rest.qh = request.headers;
    if (request.query !== undefined) rest.qq = request.query;
    if (request.params !== undefined) rest.qp = request.params;
    if (request.body !== undefined) rest.qb = request.body;
  }
  if (response !== undefined) {
    if (response.headers !== undefined) rest.sh = response.headers;
    if (response.body !== undefined) rest.sb = response.body;
  }
  if (event.metadata !== undefined) rest.m = event.metadata;
  if (event.values !== undefined) rest.v = event.values;
  if (event.sessionToken !== undefined) rest.t = event.sessionToken;
  if (event.apiVersion !== undefined) rest.a = event.apiVersion;
  if (event.faults !== undefined) rest.f = event.faults;
  if (event.corrects !== undefined) rest.c = event.corrects;
  const text = JSON.stringify(rest);
  return text === "{}" ? null : text;
}
