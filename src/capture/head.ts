import type { ServerResponse } from "node:http";

import onHeaders from "on-headers";

import type { CaptureContext } from "./context.ts";
import { routedNow } from "./exchange-facts.ts";
import type { Exchange } from "./exchange.ts";
import { emptyHeaders, headerValue, keptResponseHeaders, type HeaderValue } from "./header-values.ts";
import { readStated, statedIn, withoutStated, withStated, type StatedHeaders } from "./stated-headers.ts";

/**
 * Reads the head of a response as it was sent: after everything beneath has run, and before a byte has left. `onSent` is
 * told. A head that Node refuses is as if it had never been.
 *
 * on-headers announces the heads that Node writes by itself. Those that the application states go past it, untouched:
 * on-headers would turn the stated headers into setHeader() calls, which loses some forms and doubles others.
 */
export function watchHead(context: CaptureContext, exchange: Exchange, onSent: () => void): void {
  const { response } = exchange;
  const bare: ServerResponse["writeHead"] = Reflect.get(response, "writeHead");
  onHeaders(response, () => strip(context, exchange));
  const announced: ServerResponse["writeHead"] = Reflect.get(response, "writeHead");
  let isArmed = true;
  response.writeHead = function meteredHead(this: ServerResponse, ...given: unknown[]): ServerResponse {
    if (exchange.status !== null || response.headersSent) return Reflect.apply(bare, this, given);
    // on-headers fires once: a second head, after one that was refused, goes past it too.
    const isAnnounced = isArmed && given.length === 1 && given[0] === response.statusCode;
    const stated = isAnnounced ? null : statedIn(given);
    let written: ServerResponse;
    try {
      if (isAnnounced) isArmed = false;
      written = isAnnounced
        ? Reflect.apply(announced, this, given)
        : Reflect.apply(bare, this, strippedArguments(context, exchange, given, stated));
    } catch (error) {
      putBack(context, exchange);
      throw error;
    }
    // Whoever keeps a head back for later writes it without us; the end of the response will tell.
    if (response.headersSent) headSent(context, exchange, stated, onSent);
    return written;
  };
}

function headSent(context: CaptureContext, exchange: Exchange, stated: StatedHeaders | null, onSent: () => void): void {
  try {
    exchange.status = exchange.response.statusCode;
    readHead(context, exchange, stated);
  } catch (error) {
    context.fail(error, "head");
  }
  onSent();
}

/** Takes in what the head says now; routers still know the route. `stated` are the headers that were given to writeHead(). */
export function readHead(context: CaptureContext, exchange: Exchange, stated: StatedHeaders | null = null): void {
  const { response, stripped } = exchange;
  exchange.routed = routedNow(exchange);
  // Without headers of its own a response sends the stated ones, and remembers none of them.
  const sent = stated !== null && response.getHeaderNames().length === 0 ? readStated(stated) : null;
  exchange.responseHeaders = keptResponseHeaders(response, context.kept.responseHeaders, sent, stripped);
  if (!exchange.isEnding)
    exchange.missingBytes = lengthOf(sent?.["content-length"] ?? response.getHeader("content-length"));
  if (!context.notices.watchesHeads || response.statusCode >= 400 || exchange.isAborted) return;
  const names = sent === null ? response.getHeaderNames() : Object.keys(sent);
  context.notices.headSeen(stripped === null ? names : [...names, ...Object.keys(stripped)]);
}

/** Takes the headers that nobody is to see off the response, and remembers them. */
export function strip(context: CaptureContext, exchange: Exchange): void {
  const { response } = exchange;
  try {
    for (const name of context.stripHeaders) {
      const value = headerValue(response.getHeader(name));
      if (value === undefined) continue;
      remember(exchange, name, value);
      response.removeHeader(name);
    }
  } catch (error) {
    context.fail(error, "stripHeaders");
  }
}

function strippedArguments(
  context: CaptureContext,
  exchange: Exchange,
  given: readonly unknown[],
  stated: StatedHeaders | null,
): readonly unknown[] {
  if (context.stripHeaders.length === 0) return given;
  strip(context, exchange);
  if (stated === null) return given;
  try {
    const left = withoutStated(stated, context.stripHeaders);
    if (left === stated) return given;
    const values = readStated(stated);
    for (const name of context.stripHeaders) {
      const value = values[name];
      if (value !== undefined) remember(exchange, name, value);
    }
    return withStated(given, left);
  } catch (error) {
    context.fail(error, "stripHeaders");
    return given;
  }
}

/** What is taken off is missing for everyone beneath, who meters it too. */
function remember(exchange: Exchange, name: string, value: HeaderValue): void {
  for (let one: Exchange | null = exchange; one !== null; one = one.inner)
    (one.stripped ??= emptyHeaders())[name] = value;
}

/** The head was refused: the application finds its headers where it had set them. */
function putBack(context: CaptureContext, exchange: Exchange): void {
  const { response, stripped } = exchange;
  if (stripped === null) return;
  for (let one: Exchange | null = exchange; one !== null; one = one.inner) one.stripped = null;
  try {
    for (const name of Object.keys(stripped)) {
      const value = stripped[name];
      if (value !== undefined && !response.hasHeader(name)) response.setHeader(name, value);
    }
  } catch (error) {
    context.fail(error, "stripHeaders");
  }
}

/** A stated length in bytes; null when it is none. */
function lengthOf(value: unknown): number | null {
  const text = headerValue(value);
  return typeof text === "string" && /^\d{1,15}$/.test(text) ? Number(text) : null;
}
