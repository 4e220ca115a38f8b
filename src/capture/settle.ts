import { sentenceOf } from "../core/errors.ts";
import type { CaptureContext } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import { land } from "./flight.ts";
import { readHead } from "./head.ts";
import { holdBytes } from "./held-socket.ts";
import { afterWriting, entryOf, entryText, leastEntry, type Entry } from "./record.ts";

/** Writes the event, once. With a durable recorder the bytes of the answer wait until it is on the disk. */
export function settle(context: CaptureContext, exchange: Exchange): void {
  if (exchange.isSettled) return;
  exchange.isSettled = true;
  const entry = entryOrLeast(context, exchange);
  if (entry === null) {
    land(context.flight);
    return;
  }
  // Nobody waits for an answer to a client who has left.
  if (context.recorder.durable && !entry.isAborted) return settleDurably(context, exchange, entry);
  let isStored = false;
  try {
    isStored = context.recorder.append(entryText(entry));
  } catch (error) {
    context.fail(error, "record", entry.id);
  }
  written(context, exchange, entry, isStored);
}

function settleDurably(context: CaptureContext, exchange: Exchange, entry: Entry): void {
  // A close that comes first amends the event.
  exchange.recordedId = entry.id;
  const release = holdBytes(exchange.response);
  let isDone = false;
  const done = (error?: Error): void => {
    if (isDone) return;
    isDone = true;
    written(context, exchange, entry, error === undefined);
    try {
      release();
    } catch (failure) {
      context.fail(failure, "end", entry.id);
    }
  };
  try {
    context.recorder.appendDurable(entryText(entry), done);
  } catch (error) {
    done(error instanceof Error ? error : new Error(String(error)));
  }
}

function written(context: CaptureContext, exchange: Exchange, entry: Entry, isStored: boolean): void {
  try {
    afterWriting(context, exchange, entry, isStored);
  } catch (error) {
    context.fail(error, "record", entry.id);
  }
  land(context.flight);
}

/** What goes wrong here must not cost the event: what is known of it surely is recorded, and held. */
function entryOrLeast(context: CaptureContext, exchange: Exchange): Entry | null {
  try {
    if (exchange.routed === null) readHead(context, exchange);
    return entryOf(context, exchange);
  } catch (error) {
    context.fail(error, "record");
    const sentence = `An event could not be built whole: ${sentenceOf(error).replace(/\.?$/, ".")} It is kept with method, path and status, and held; told once, onError hears of every one.`;
    context.notices.tell("METER_CAPTURE_FAILED", sentence);
  }
  try {
    return leastEntry(context, exchange);
  } catch (error) {
    context.fail(error, "record");
    context.counters.refused++;
    return null;
  }
}
