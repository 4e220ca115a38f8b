import { Temporal } from "temporal-polyfill";

import { MeterbookError } from "./errors.ts";
import { windowStart, type WindowSpan } from "./window.ts";

/** How a zone's time is cut. Minutes: a number that divides a day, counted from local midnight. Weeks begin on Mondays (ISO 8601). */
export type ZonedWindow =
  | { readonly unit: "minute"; readonly count: number }
  | { readonly unit: "hour" | "day" | "week" | "month" | "quarter" | "year"; readonly count: 1 };

/** One way to cut the time of one zone. It remembers the windows that it found, so that looking up many instants costs little. */
export interface ZonedWindows {
  /** The window that holds this instant, milliseconds UTC. */
  readonly spanOf: (time: number) => WindowSpan;
  /** The windows that touch [from, to), oldest first and without gaps. */
  readonly spansOf: (from: number, to: number) => Generator<WindowSpan, void, undefined>;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const MINUTES_PER_DAY = 1_440;
/** 1970-01-01 was a Thursday. */
const EPOCH_WEEKDAY = 3;
/** The instants that the calendar knows, less a year: Temporal throws beyond them. What is stamped so is in one window. */
const INSTANT_MAX = 8.64e15 - 400 * DAY_MS;
/** Windows, zones and spans of one offset that are remembered; beyond it the memory starts anew. */
const SPANS_KEPT_MAX = 100_000;
const CUTS_KEPT_MAX = 200;

const kept = new Map<string, ZonedWindows>();

/** The window of this zone that holds an instant, milliseconds UTC. Throws METER_REQUEST_INVALID as zonedWindows does. */
export function windowOf(time: number, window: ZonedWindow, zone: string): WindowSpan {
  return zonedWindows(window, zone).spanOf(time);
}

/**
 * The windows of an IANA zone. Days and longer run from local midnight to local midnight, whatever the clock does between
 * them; where midnight is skipped they begin with the first instant after it. Hours and minutes begin where the zone's own
 * clock shows them, and one in which the clock is changed is two shorter ones, so that no two have the same begin.
 * Throws METER_REQUEST_INVALID for an unknown zone, and for minutes that do not divide a day.
 */
export function zonedWindows(window: ZonedWindow, zone: string): ZonedWindows {
  const key = `${window.count} ${window.unit} ${zone}`;
  const known = kept.get(key);
  if (known !== undefined) return known;
  const made = remembering(spanFinder(window, offsetSpans(zone)));
  if (kept.size >= CUTS_KEPT_MAX) kept.clear();
  kept.set(key, made);
  return made;
}

type SpanFinder = (time: number) => WindowSpan;

function spanFinder({ unit, count }: ZonedWindow, offsets: OffsetSpans): SpanFinder {
  if (unit === "hour") return clockFinder(HOUR_MS, offsets);
  if (unit !== "minute") return dateFinder(unit, offsets);
  if (!Number.isInteger(count) || count < 1 || MINUTES_PER_DAY % count !== 0)
    throw invalid("/window", `Windows of ${count} minutes do not divide a day: use a divisor of 1440.`);
  return count === MINUTES_PER_DAY ? dateFinder("day", offsets) : clockFinder(count * MINUTE_MS, offsets);
}

function clockFinder(widthMs: number, offsets: OffsetSpans): SpanFinder {
  return (time) => {
    const { from, to, offsetMs } = offsets.at(time);
    const start = windowStart(time + offsetMs, widthMs) - offsetMs;
    return { from: Math.max(start, from), to: Math.min(start + widthMs, to) };
  };
}

type DateUnit = "day" | "week" | "month" | "quarter" | "year";

function dateFinder(unit: DateUnit, offsets: OffsetSpans): SpanFinder {
  return (time) => {
    if (time >= INSTANT_MAX) return { from: INSTANT_MAX, to: Number.MAX_SAFE_INTEGER };
    if (time < -INSTANT_MAX) return { from: Number.MIN_SAFE_INTEGER, to: -INSTANT_MAX };
    let [first, next] = datesOf(windowStart(time + offsets.at(time).offsetMs, DAY_MS) / DAY_MS, unit);
    // A clock that goes back over midnight shows the day of before once more: the later begin decides.
    while (offsets.midnight(next) <= time) [first, next] = datesOf(next, unit);
    while (offsets.midnight(first) > time) [first, next] = datesOf(first - 1, unit);
    return { from: offsets.midnight(first), to: offsets.midnight(next) };
  };
}

/** The first day of the unit that holds a day, and that of the next unit, both counted from 1970-01-01. */
function datesOf(day: number, unit: DateUnit): readonly [number, number] {
  if (unit === "day") return [day, day + 1];
  if (unit === "week") {
    const monday = windowStart(day + EPOCH_WEEKDAY, 7) - EPOCH_WEEKDAY;
    return [monday, monday + 7];
  }
  const date = new Date(day * DAY_MS);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  const months = MONTHS[unit];
  const first = windowStart(month, months);
  return [dayOf(year, first), dayOf(year, first + months)];
}

const MONTHS = { month: 1, quarter: 3, year: 12 } as const;

function dayOf(year: number, month: number): number {
  // Date.UTC takes the years 0 to 99 for those of the last century.
  return new Date(0).setUTCFullYear(year, month, 1) / DAY_MS;
}

/** A span of time in which a zone's clock is not changed. */
interface OffsetSpan extends WindowSpan {
  readonly offsetMs: number;
}

interface OffsetSpans {
  at(time: number): OffsetSpan;
  /** First instant of a local day, which is counted from 1970-01-01. */
  midnight(day: number): number;
}

function offsetSpans(zone: string): OffsetSpans {
  assertZone(zone);
  const find = remembered<OffsetSpan>((time) => readOffset(zone, time));
  return {
    at: find,
    midnight: (day) => {
      const local = day * DAY_MS;
      // No zone is more than a day from UTC, so the earliest clock that can show it is found from there on.
      let span = find(local - DAY_MS);
      while (local - span.offsetMs >= span.to) span = find(span.to);
      return Math.max(local - span.offsetMs, span.from);
    },
  };
}

function readOffset(zone: string, time: number): OffsetSpan {
  if (Math.abs(time) > CALENDAR_MAX) return time < 0 ? BEFORE_CALENDAR : AFTER_CALENDAR;
  const here = Temporal.Instant.fromEpochMilliseconds(time).toZonedDateTimeISO(zone);
  const after = here.getTimeZoneTransition("next");
  // The one before is looked for from a little later on, since an instant is not before itself.
  const before = here.add({ milliseconds: 1 }).getTimeZoneTransition("previous");
  return {
    from: before?.epochMilliseconds ?? Number.NEGATIVE_INFINITY,
    to: after?.epochMilliseconds ?? Number.POSITIVE_INFINITY,
    offsetMs: here.offsetNanoseconds / 1e6,
  };
}

/** Between INSTANT_MAX and the calendar's end: midnights of the days beside INSTANT_MAX are still asked for. */
const CALENDAR_MAX = INSTANT_MAX + 300 * DAY_MS;
const AFTER_CALENDAR: OffsetSpan = { from: CALENDAR_MAX, to: Number.POSITIVE_INFINITY, offsetMs: 0 };
const BEFORE_CALENDAR: OffsetSpan = { from: Number.NEGATIVE_INFINITY, to: -CALENDAR_MAX, offsetMs: 0 };

function assertZone(zone: string): void {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(zone);
  } catch {
    throw invalid("/zone", `There is no time zone ${JSON.stringify(zone)}: use an IANA name such as Europe/Berlin.`);
  }
}

function remembering(find: SpanFinder): ZonedWindows {
  const spanOf = remembered(find);
  return {
    spanOf,
    *spansOf(from, to) {
      for (let time = from; time < to;) {
        const span = spanOf(time);
        yield span;
        time = span.to;
      }
    },
  };
}

/** The same answers, each found once. Spans do not overlap, so the one before an instant is the only one that can hold it. */
function remembered<Span extends WindowSpan>(find: (time: number) => Span): (time: number) => Span {
  const spans: Span[] = [];
  let last: Span | null = null;
  return (time) => {
    if (last !== null && time >= last.from && time < last.to) return last;
    const place = placeAfter(spans, time);
    const near = spans[place - 1];
    if (near !== undefined && time < near.to) {
      last = near;
      return near;
    }
    const found = find(time);
    last = found;
    if (spans.length >= SPANS_KEPT_MAX) spans.length = 0;
    spans.splice(placeAfter(spans, found.from), 0, found);
    return found;
  };
}

/** How many of the spans, which are in order, begin at or before an instant. */
function placeAfter(spans: readonly WindowSpan[], time: number): number {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((spans[middle]?.from ?? time) <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function invalid(pointer: string, message: string): MeterbookError {
  return new MeterbookError("METER_REQUEST_INVALID", message, { mistakes: [{ pointer, message }] });
}
