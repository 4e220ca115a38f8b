import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

import type { HoldReason } from "../core/event.ts";
import type { AddedValues } from "./added-values.ts";
import type { BodyTap } from "./body-tap.ts";
import type { HeaderValue } from "./header-values.ts";
import type { RequestMeter } from "./metered-request.ts";
import type { RouteFacts } from "./route.ts";

/** One request with its response while it is under way: facts as they become known, and how far it has come. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** When it was first seen, milliseconds UTC. */
  readonly startedAt: number;
  readonly path: string;
  readonly meter: RequestMeter;
  /** The exchange of another book that watches the same response, nearer to Node; its facts are read after this one's. */
  readonly inner: Exchange | null;
  /** The status that was sent; null before. */
  status: number | null;
  /** Known once the head of the response is written; routers forget it afterwards. */
  routed: RouteFacts | null;
  /** The metered response headers as the head was written, and trailers as they came. Null before. */
  responseHeaders: Record<string, HeaderValue> | null;
  /** Headers that were taken off the response before the client could see them, by lower-case name. */
  stripped: Record<string, HeaderValue> | null;
  trailers: readonly (readonly [string, HeaderValue])[];
  requestTap: BodyTap | null;
  responseTap: BodyTap | null;
  values: AddedValues | null;
  faults: Record<string, HoldReason> | null;
  /** end() was called. */
  isEnding: boolean;
  /** flushHeaders() was called. */
  isFlushing: boolean;
  /** The arguments of a write() that is under way and has not announced its head yet. */
  writing: readonly unknown[] | null;
  /** Bytes that are missing from the length that the head states; null when it states none. */
  missingBytes: number | null;
  /** end() was called with more bytes than surely leave at once. */
  hasUnsentBytes: boolean;
  isSkipped: boolean;
  /** The client left before the last byte. */
  isAborted: boolean;
  /** The event was written, refused or skipped: whatever comes now is an amendment, or too late. */
  isSettled: boolean;
  /** The recorded event's id; null when there is none. */
  recordedId: string | null;
}

/** What hears of an exchange's own calls: too late, or not usable. */
export interface ExchangeListener {
  added(exchange: Exchange, name: unknown, amount: unknown): void;
}

export function newExchange(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  startedAt: number,
  listener: ExchangeListener,
  inner: Exchange | null = null,
): Exchange {
  return new WatchedExchange(request, response, path, startedAt, listener, inner);
}

/**
 * Classes, not object literals: V8 places literals of a hot site in its old space, where each drags its whole request
 * along until a full collection; measured, that cost more than all of capture.
 */
class WatchedExchange implements Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly startedAt: number;
  readonly path: string;
  readonly meter: RequestMeter;
  readonly inner: Exchange | null;
  status: Exchange["status"] = null;
  routed: Exchange["routed"] = null;
  responseHeaders: Exchange["responseHeaders"] = null;
  stripped: Exchange["stripped"] = null;
  trailers: Exchange["trailers"] = NO_TRAILERS;
  requestTap: Exchange["requestTap"] = null;
  responseTap: Exchange["responseTap"] = null;
  values: Exchange["values"] = null;
  faults: Exchange["faults"] = null;
  isEnding = false;
  isFlushing = false;
  writing: Exchange["writing"] = null;
  missingBytes: Exchange["missingBytes"] = null;
  hasUnsentBytes = false;
  isSkipped = false;
  isAborted = false;
  isSettled = false;
  recordedId: Exchange["recordedId"] = null;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    startedAt: number,
    listener: ExchangeListener,
    inner: Exchange | null,
  ) {
    this.request = request;
    this.response = response;
    this.startedAt = startedAt;
    this.path = path;
    this.inner = inner;
    this.meter = new ExchangeMeter(this, listener);
  }
}

class ExchangeMeter implements RequestMeter {
  route: RequestMeter["route"] = undefined;
  readonly add: RequestMeter["add"];
  readonly skip: RequestMeter["skip"];

  constructor(exchange: Exchange, listener: ExchangeListener) {
    // Own functions, so that a handler may take them apart: `const { add } = req.meter`.
    this.add = (name, amount) => listener.added(exchange, name, amount);
    this.skip = () => {
      exchange.isSkipped = true;
    };
  }
}

/** Notes why a path of the event could not be captured. The first reason stays. */
export function addFault(exchange: Exchange, path: string, reason: HoldReason): void {
  exchange.faults ??= {};
  exchange.faults[path] ??= reason;
}

/**
 * Whether the bytes of an ended response were lost on the way. `writableFinished` and `finish` do not tell: Node calls
 * pending writes of a broken connection done, and only their error, or a socket torn down early, shows it.
 */
export function isCutOff(exchange: Exchange): boolean {
  // Frameworks for tests make requests without a connection.
  const socket: Socket | null | undefined = exchange.request.socket;
  if (socket === null || socket === undefined) return false;
  return Boolean(socket.errored) || (socket.destroyed && !socket.writableFinished);
}

const NO_TRAILERS: Exchange["trailers"] = [];
