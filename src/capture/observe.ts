import type { IncomingMessage, ServerResponse } from "node:http";

import { newBodyTap, tapRequest } from "./body-tap.ts";
import type { CaptureContext } from "./context.ts";
import { onClose, onHeadSent, watchEnd, watchFlush, watchWrites } from "./ending.ts";
import { newExchange, type Exchange } from "./exchange.ts";
import { watchHead } from "./head.ts";
import { trailerValues } from "./header-values.ts";
import { keepsNothing } from "./kept-fields.ts";
import { inertMeter, joinedMeter, type RequestMeter } from "./metered-request.ts";
import { pathOf } from "./route.ts";
import { settle } from "./settle.ts";
import { lastExchange, Mark, markOf, recordingMark, WATCHED, type WatchedResponse } from "./watch-mark.ts";

/** Watches one exchange to its end. Never throws, and changes nothing that the client or the handlers see. */
export function observe(context: CaptureContext, request: IncomingMessage, response: ServerResponse): void {
  try {
    watch(context, request, response);
  } catch (error) {
    context.fail(error, "observe");
  }
}

function watch(
  context: CaptureContext,
  request: IncomingMessage & { meter?: RequestMeter },
  response: WatchedResponse,
): void {
  const before = response[WATCHED] ?? null;
  const own = before === null ? null : markOf(context, before);
  // Left alone by this capture's own include/exclude: it stays so.
  if (own !== null && own.exchange === null) return;
  const path = pathOf(request);
  if (own === null && (context.options.enabled === false || !context.isMetered(path))) {
    context.counters.excluded++;
    response[WATCHED] = new Mark(context, context.book, null, before);
    if (before === null || lastExchange(before) === null) request.meter = inertMeter();
    return;
  }
  if (own !== null || (before !== null && recordingMark(context.book, before) !== null)) {
    context.notices.tell("METER_MOUNTED_TWICE", MOUNTED_TWICE_TEXT);
    return;
  }
  const inner = before === null ? null : lastExchange(before);
  const exchange = newExchange(request, response, path, context.clock.now(), context.listener, inner);
  response[WATCHED] = new Mark(context, context.book, exchange, before);
  request.meter = inner === null ? exchange.meter : joinedMeter(request.meter ?? inner.meter, exchange.meter);
  response.on("close", () => onClose(context, exchange));
  context.counters.observed++;
  context.flight.count++;
  follow(context, exchange);
}

function follow(context: CaptureContext, exchange: Exchange): void {
  const { response } = exchange;
  tapBodies(context, exchange);
  if (!keepsNothing(context.kept.responseHeaders)) watchTrailers(context, exchange);
  watchHead(context, exchange, () => onHeadSent(context, exchange));
  watchWrites(context, exchange);
  watchFlush(context, exchange);
  watchEnd(context, exchange);
  if (response.writableEnded) {
    // An earlier handler answered and passed on: the event is late, and still the only one.
    exchange.isEnding = true;
    settle(context, exchange);
  }
  // It closed before anyone looked; the event that would tell is gone.
  if (response.destroyed) onClose(context, exchange);
}

function watchTrailers(context: CaptureContext, exchange: Exchange): void {
  const { response } = exchange;
  const addTrailers: ServerResponse["addTrailers"] = Reflect.get(response, "addTrailers");
  response.addTrailers = function meteredTrailers(this: ServerResponse, trailers): void {
    Reflect.apply(addTrailers, this, [trailers]);
    try {
      exchange.trailers = [...exchange.trailers, ...trailerValues(trailers)];
    } catch (error) {
      context.fail(error, "trailers");
    }
  };
}

function tapBodies(context: CaptureContext, exchange: Exchange): void {
  const { request } = exchange;
  const { requestBody, responseBody } = context.kept;
  if (requestBody !== null && Reflect.get(request, "body") === undefined) {
    exchange.requestTap = newBodyTap(requestBody.bytesMax);
    tapRequest(request, exchange.requestTap);
  }
  if (responseBody !== null && request.method !== "HEAD") exchange.responseTap = newBodyTap(responseBody.bytesMax);
}

const MOUNTED_TWICE_TEXT =
  "meter() is mounted twice on the same requests, for example on the app and on a router; each request is metered once, by the first. Remove one of them.";
