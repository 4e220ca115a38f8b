import type { ServerResponse } from "node:http";

import { limits } from "../engine/limits.ts";
import { amend } from "./amendment.ts";
import { keepChunk } from "./body-tap.ts";
import { mayBeJson } from "./body-text.ts";
import type { CaptureContext } from "./context.ts";
import { addFault, isCutOff, type Exchange } from "./exchange.ts";
import { strip } from "./head.ts";
import { settle } from "./settle.ts";

/** The head is written, and nothing of it has left yet. Never throws. */
export function onHeadSent(context: CaptureContext, exchange: Exchange): void {
  try {
    if (exchange.isEnding) settle(context, exchange);
    else if (exchange.isFlushing) settleWhenBodiless(context, exchange);
    else if (exchange.writing !== null) countDown(context, exchange, exchange.writing);
  } catch (error) {
    context.fail(error, "head");
  }
}

/** Settles with end(), at the last moment at which no byte has left and all listeners have set their headers. */
export function watchEnd(context: CaptureContext, exchange: Exchange): void {
  const { response } = exchange;
  const end: ServerResponse["end"] = Reflect.get(response, "end");
  response.end = function meteredEnd(this: ServerResponse, ...given: unknown[]): ServerResponse {
    if (exchange.isEnding || exchange.isSettled) return Reflect.apply(end, this, given);
    exchange.isEnding = true;
    try {
      const [chunk, encoding] = given;
      if (isBytes(chunk)) {
        if (exchange.responseTap !== null) tapChunk(context, exchange, chunk, encoding);
        noteUnsent(exchange, chunk);
      } else if (response.writableLength > limits.unsentBytesMax) {
        exchange.hasUnsentBytes = true;
      }
      // A head that is written is not announced again, and HTTP/2 announces none at the end. What Node refuses does not end
      // the response.
      if ((response.headersSent || isHttp2(response)) && isAccepted(chunk)) {
        if (!response.headersSent) strip(context, exchange);
        settle(context, exchange);
      }
    } catch (error) {
      context.fail(error, "end");
    }
    try {
      const ended: ServerResponse = Reflect.apply(end, this, given);
      if (!exchange.isSettled) settle(context, exchange);
      return ended;
    } catch (error) {
      // It refused its arguments: the response is as open as before.
      exchange.isEnding = exchange.isSettled;
      throw error;
    }
  } as ServerResponse["end"];
}

/** Sees what is written: the body for those who read it, and the byte that completes a stated length. */
export function watchWrites(context: CaptureContext, exchange: Exchange): void {
  const { response } = exchange;
  const write: ServerResponse["write"] = Reflect.get(response, "write");
  response.write = function meteredWrite(this: ServerResponse, ...given: unknown[]): boolean {
    if (exchange.isSettled || exchange.isEnding) return Reflect.apply(write, this, given);
    try {
      if (exchange.responseTap !== null) tapChunk(context, exchange, given[0], given[1]);
      if (exchange.missingBytes !== null) countDown(context, exchange, given);
    } catch (error) {
      context.fail(error, "write");
    }
    if (exchange.status !== null) return Reflect.apply(write, this, given);
    // This write will announce the head, which may state the length.
    exchange.writing = given;
    try {
      return Reflect.apply(write, this, given);
    } finally {
      exchange.writing = null;
    }
  } as ServerResponse["write"];
}

/** A flushed head is the whole of an answer that has no body. */
export function watchFlush(context: CaptureContext, exchange: Exchange): void {
  const { response } = exchange;
  const flush: ServerResponse["flushHeaders"] = Reflect.get(response, "flushHeaders");
  response.flushHeaders = function meteredFlush(this: ServerResponse): void {
    exchange.isFlushing = true;
    try {
      // A head that was written before leaves now.
      if (exchange.status !== null) onHeadSent(context, exchange);
      Reflect.apply(flush, this, []);
    } finally {
      exchange.isFlushing = false;
    }
  };
}

/** The exchange is over: an end that never came makes the event now, bytes that were lost are told afterwards. */
export function onClose(context: CaptureContext, exchange: Exchange): void {
  try {
    if (!exchange.isSettled) {
      exchange.isAborted = true;
      settle(context, exchange);
      return;
    }
    const { recordedId } = exchange;
    if (recordedId === null || exchange.isAborted) return;
    const isCut = isCutOff(exchange);
    if (isCut) {
      exchange.isAborted = true;
      context.counters.aborted++;
    }
    if (exchange.hasUnsentBytes || isCut) amend(context, recordedId, { closes: "end", aborted: isCut });
  } catch (error) {
    context.fail(error, "close");
  }
}

/** The client has the whole answer with the write that completes it, whenever end() may follow. */
function countDown(context: CaptureContext, exchange: Exchange, [chunk, encoding]: readonly unknown[]): void {
  if (exchange.missingBytes === null || isBodiless(exchange) || exchange.response.destroyed) return;
  if (!isBytes(chunk)) return;
  exchange.missingBytes -= byteLength(chunk, encoding);
  if (exchange.missingBytes > 0) return;
  noteUnsent(exchange, chunk);
  settle(context, exchange);
}

function settleWhenBodiless(context: CaptureContext, exchange: Exchange): void {
  if (isBodiless(exchange) || exchange.missingBytes === 0) settle(context, exchange);
}

/** Answers whose body Node leaves out (https://nodejs.org/api/http.html#responsewritechunk-encoding-callback). */
function isBodiless({ request, response }: Exchange): boolean {
  return request.method === "HEAD" || response.statusCode === 204 || response.statusCode === 304;
}

function noteUnsent(exchange: Exchange, chunk: string | Uint8Array): void {
  const unsent = exchange.response.writableLength;
  const most = typeof chunk === "string" ? chunk.length * 3 : chunk.byteLength;
  if (most + unsent <= limits.unsentBytesMax) return;
  exchange.hasUnsentBytes = byteLength(chunk, "utf8") + unsent > limits.unsentBytesMax;
}

function tapChunk(context: CaptureContext, exchange: Exchange, chunk: unknown, encoding: unknown): void {
  const tap = exchange.responseTap;
  const wish = context.kept.responseBody;
  if (tap === null || wish === null) return;
  // A stream of events, an image and the like is let by: it never becomes the JSON that a meter reads.
  if (!wish.isWhole && !mayBeJson(exchange.response.getHeader("content-type"))) {
    addFault(exchange, "response.body", "body_not_json");
    exchange.responseTap = null;
    return;
  }
  keepChunk(tap, chunk, encoding);
}

function byteLength(chunk: string | Uint8Array, encoding: unknown): number {
  if (typeof chunk !== "string") return chunk.byteLength;
  return Buffer.byteLength(chunk, typeof encoding === "string" && Buffer.isEncoding(encoding) ? encoding : "utf8");
}

function isBytes(chunk: unknown): chunk is string | Uint8Array {
  return typeof chunk === "string" || chunk instanceof Uint8Array;
}

/** What end() takes for its first argument; anything else it refuses. */
function isAccepted(chunk: unknown): boolean {
  return !chunk || typeof chunk === "function" || isBytes(chunk);
}

function isHttp2(response: ServerResponse): boolean {
  return response.req.httpVersionMajor >= 2;
}
