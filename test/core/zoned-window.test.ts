import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { windowOf, zonedWindows, type ZonedWindow } from "../../src/core/zoned-window.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const time = (text: string): number => Date.parse(text);
const shown = ({ from, to }: { readonly from: number; readonly to: number }): readonly string[] =>
  [from, to].map((each) => new Date(each).toISOString().replace(".000Z", "Z"));

function unit(name: Exclude<ZonedWindow["unit"], "minute">): ZonedWindow {
  return { unit: name, count: 1 };
}

const minutes = (count: number): ZonedWindow => ({ unit: "minute", count });

const ZONES = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "America/St_Johns",
  "Australia/Lord_Howe",
  "Asia/Kathmandu",
  "Pacific/Apia",
  "America/Havana",
  "America/Sao_Paulo",
  "Africa/Casablanca",
  "Pacific/Chatham",
];
const WINDOWS: readonly ZonedWindow[] = [
  minutes(1),
  minutes(15),
  minutes(90),
  minutes(144),
  ...(["hour", "day", "week", "month", "quarter", "year"] as const).map(unit),
];

/** What a zone's own clock shows, by the runtime's calendar instead of ours. */
function localText(zone: string, instant: number): string {
  const format = new Intl.DateTimeFormat("en-CA", {
    timeZone: zone,
    dateStyle: "short",
    timeStyle: "medium",
    hourCycle: "h23",
  });
  return format.format(instant);
}

describe("windows of a zone", () => {
  it.each([
    ["2027-07-14T13:37:11Z", "Europe/Berlin", minutes(5), "2027-07-14T13:35:00Z", "2027-07-14T13:40:00Z"],
    ["2027-07-14T13:37:11Z", "Asia/Kathmandu", unit("hour"), "2027-07-14T13:15:00Z", "2027-07-14T14:15:00Z"],
    ["2027-07-14T13:37:11Z", "Asia/Kathmandu", minutes(480), "2027-07-14T10:15:00Z", "2027-07-14T18:15:00Z"],
    ["2027-03-28T12:00:00Z", "Europe/Berlin", unit("day"), "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"],
    ["2027-11-07T12:00:00Z", "America/New_York", unit("day"), "2027-11-07T04:00:00Z", "2027-11-08T05:00:00Z"],
    ["2027-10-03T03:00:00Z", "Australia/Lord_Howe", unit("day"), "2027-10-02T13:30:00Z", "2027-10-03T13:00:00Z"],
    ["2027-04-04T03:00:00Z", "Australia/Lord_Howe", unit("day"), "2027-04-03T13:00:00Z", "2027-04-04T13:30:00Z"],
    ["2027-01-03T23:59:59Z", "UTC", unit("week"), "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"],
    ["2027-01-04T00:00:00Z", "UTC", unit("week"), "2027-01-04T00:00:00Z", "2027-01-11T00:00:00Z"],
    ["1969-12-31T00:00:00Z", "UTC", unit("week"), "1969-12-29T00:00:00Z", "1970-01-05T00:00:00Z"],
    ["2024-12-31T23:30:00Z", "Europe/Budapest", unit("month"), "2024-12-31T23:00:00Z", "2025-01-31T23:00:00Z"],
    ["2028-02-29T12:00:00Z", "UTC", unit("month"), "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"],
    ["2027-05-01T12:00:00Z", "Europe/Berlin", unit("quarter"), "2027-03-31T22:00:00Z", "2027-06-30T22:00:00Z"],
    ["2027-12-31T23:30:00Z", "Europe/Berlin", unit("year"), "2027-12-31T23:00:00Z", "2028-12-31T23:00:00Z"],
    // Samoa had no 30 December 2011.
    ["2011-12-30T09:00:00Z", "Pacific/Apia", unit("day"), "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"],
    ["2011-12-30T10:00:00Z", "Pacific/Apia", unit("day"), "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"],
    // The clock skips midnight: the day begins at one.
    ["2018-11-04T12:00:00Z", "America/Sao_Paulo", unit("day"), "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"],
  ])("%s in %s by %o", (instant, zone, window, from, to) => {
    expect(shown(windowOf(time(instant), window, zone))).toEqual([from, to]);
  });

  it("the day with 25 hours has 25 windows of an hour, of which two show the same hour", () => {
    const hours = [
      ...zonedWindows(unit("hour"), "America/New_York").spansOf(
        time("2027-11-07T04:00:00Z"),
        time("2027-11-08T05:00:00Z"),
      ),
    ];
    expect(hours).toHaveLength(25);
    expect(shown(hours[1] ?? { from: 0, to: 0 })).toEqual(["2027-11-07T05:00:00Z", "2027-11-07T06:00:00Z"]);
    expect(shown(hours[2] ?? { from: 0, to: 0 })).toEqual(["2027-11-07T06:00:00Z", "2027-11-07T07:00:00Z"]);
    expect(hours.at(-1)?.to).toBe(time("2027-11-08T05:00:00Z"));
  });

  it.each([
    ["2027-10-03", 23.5, 24],
    ["2027-04-04", 24.5, 25],
  ])("the hours of a day in which the clock changes by half an hour add up to it: %s", (day, length, count) => {
    const span = windowOf(time(`${day}T03:00:00Z`), unit("day"), "Australia/Lord_Howe");
    const hours = [...zonedWindows(unit("hour"), "Australia/Lord_Howe").spansOf(span.from, span.to)];
    expect((span.to - span.from) / HOUR).toBe(length);
    expect(hours).toHaveLength(count);
    expect(hours.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(span.to - span.from);
    expect(hours.filter(({ from, to }) => to - from === HOUR / 2)).toHaveLength(1);
  });

  it("cover time without gaps and hold their instants, in any order of asking", () => {
    const instant = fc.integer({ min: time("1995-01-01T00:00:00Z"), max: time("2035-01-01T00:00:00Z") });
    fc.assert(
      fc.property(
        fc.constantFrom(...ZONES),
        fc.constantFrom(...WINDOWS),
        fc.array(instant, { minLength: 1, maxLength: 9 }),
        (zone, window, instants) => {
          const { spanOf } = zonedWindows(window, zone);
          for (const each of instants) {
            const { from, to } = spanOf(each);
            expect(from).toBeLessThanOrEqual(each);
            expect(to).toBeGreaterThan(each);
            expect(spanOf(from)).toEqual({ from, to });
            expect(spanOf(to - 1)).toEqual({ from, to });
            expect(spanOf(to).from).toBe(to);
            expect(spanOf(from - 1).to).toBe(from);
          }
        },
      ),
      { numRuns: 400, seed: 42 },
    );
  });

  it("show midnight where days begin, by the runtime's own calendar", () => {
    for (const zone of [
      "Europe/Berlin",
      "America/New_York",
      "Asia/Kathmandu",
      "Pacific/Chatham",
      "Australia/Lord_Howe",
    ]) {
      const days = [
        ...zonedWindows(unit("day"), zone).spansOf(time("2026-01-01T12:00:00Z"), time("2028-01-01T12:00:00Z")),
      ];
      expect(days.length).toBeGreaterThan(700);
      for (const { from } of days) expect(localText(zone, from)).toMatch(/, 00:00:00$/);
    }
  });

  it("know instants outside of every calendar", () => {
    for (const window of WINDOWS) {
      for (const instant of [Number.MAX_SAFE_INTEGER - 1, 8.64e15, -8.64e15, Number.MIN_SAFE_INTEGER + 1]) {
        const { from, to } = windowOf(instant, window, "Europe/Berlin");
        expect(from <= instant && instant < to).toBe(true);
      }
    }
  });

  it("refuse zones that there are not, and minutes that do not divide a day", () => {
    for (const zone of ["Mars/Olympus", "", "__proto__"]) {
      expect(() => zonedWindows(unit("day"), zone)).toThrow(
        expect.objectContaining({
          code: "METER_REQUEST_INVALID",
          mistakes: [expect.objectContaining({ pointer: "/zone" })],
        }),
      );
    }
    for (const count of [0, -1, 7, 1.5, 2_880, Number.NaN]) {
      expect(() => zonedWindows(minutes(count), "UTC")).toThrow(
        expect.objectContaining({
          code: "METER_REQUEST_INVALID",
          mistakes: [expect.objectContaining({ pointer: "/window" })],
        }),
      );
    }
    expect(windowOf(time("2027-03-28T12:00:00Z"), minutes(1_440), "Europe/Berlin")).toEqual(
      windowOf(time("2027-03-28T12:00:00Z"), unit("day"), "Europe/Berlin"),
    );
  });

  it("of a long span are found once, so that a million look-ups build no million dates", () => {
    const { spanOf } = zonedWindows(unit("day"), "America/Los_Angeles");
    const start = time("2026-01-01T00:00:00Z");
    const spans = new Set<object>();
    for (let step = 0; step < 1_000_000; step++) spans.add(spanOf(start + ((step * 7_919) % 365) * DAY));
    expect(spans.size).toBe(365);
  });
});
