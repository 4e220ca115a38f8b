import { MeterbookError } from "../../core/errors.ts";
import { DAY_MS, dayStart } from "../../core/usage.ts";
import type { WindowSpan } from "../../core/window.ts";
import type { ZonedWindows } from "../../core/zoned-window.ts";
import { limits } from "../limits.ts";

/** Where usage is read: whole UTC days from what the store adds up by day, the rest from its buckets. None overlap; open ends are infinite. */
export interface UsageSpans {
  readonly days: readonly WindowSpan[];
  readonly buckets: readonly WindowSpan[];
}

/** Spans for one row over all, and for windows that begin and end with UTC days: only the bounds can cut a day. */
export function wholeSpans(from: number, to: number): UsageSpans {
  const spans = spanLists();
  addSpan(spans, from, to);
  return spans;
}

/** Spans for windows that need not hold whole UTC days. Throws METER_REQUEST_INVALID when there are too many of them. */
export function windowSpans(from: number, to: number, windows: ZonedWindows): UsageSpans {
  const spans = spanLists();
  let count = 0;
  for (const window of windows.spansOf(from, to)) {
    count += 1;
    if (count > limits.queryWindowsMax) throw tooMany();
    addSpan(spans, Math.max(window.from, from), Math.min(window.to, to));
  }
  return spans;
}

/** Spans for windows shorter than a day. */
export function narrowSpans(from: number, to: number): UsageSpans {
  return { days: [], buckets: from < to ? [{ from, to }] : [] };
}

interface SpanLists {
  readonly days: WindowSpan[];
  readonly buckets: WindowSpan[];
}

function spanLists(): SpanLists {
  return { days: [], buckets: [] };
}

function addSpan({ days, buckets }: SpanLists, from: number, to: number): void {
  const first = Number.isFinite(from) ? dayStart(from + DAY_MS - 1) : from;
  const end = Number.isFinite(to) ? dayStart(to) : to;
  if (first >= end) {
    append(buckets, from, to);
    return;
  }
  append(buckets, from, first);
  append(days, first, end);
  append(buckets, end, to);
}

/** Neighbours become one, so that they are read at once. */
function append(spans: WindowSpan[], from: number, to: number): void {
  if (from >= to) return;
  const last = spans.at(-1);
  if (last?.to === from) spans[spans.length - 1] = { from: last.from, to };
  else spans.push({ from, to });
}

function tooMany(): MeterbookError {
  const message = `There are more than ${limits.queryWindowsMax} windows between the bounds: ask for a shorter span or wider windows.`;
  return new MeterbookError("METER_REQUEST_INVALID", message, { mistakes: [{ pointer: "/window", message }] });
}
