import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isClosed, windowSpan, windowStart } from "../../src/core/window.ts";

/** The whole range of a JavaScript Date, less a month at each end. */
const times = fc.integer({ min: -8.63e15, max: 8.63e15 });
const widths = fc.constantFrom(1, 1000, 60_000, 300_000, 3_600_000, 86_400_000, 7 * 86_400_000, 12_345);

function utc(text: string): number {
  return Date.parse(text);
}

describe("windowStart", () => {
  test("is the multiple of the width at or before the instant", () => {
    fc.assert(
      fc.property(times, widths, (time, widthMs) => {
        const start = windowStart(time, widthMs);
        expect(BigInt(start) % BigInt(widthMs)).toBe(0n);
        expect(start).toBeLessThanOrEqual(time);
        expect(time - start).toBeLessThan(widthMs);
      }),
    );
  });

  test.each([
    [0, 0],
    [59_999, 0],
    [60_000, 60_000],
    [-1, -60_000],
    [-60_000, -60_000],
  ])("of %i is %i for minutes", (time, start) => {
    expect(windowStart(time, 60_000)).toBe(start);
  });
});

describe("isClosed", () => {
  test.each([
    [1000, 1000, 0, true],
    [1000, 999, 0, false],
    [1000, 1299, 300, false],
    [1000, 1300, 300, true],
  ])("a window that ends at %i, at %i with %i ms of lateness: %s", (end, now, latenessMs, expected) => {
    expect(isClosed(end, now, latenessMs)).toBe(expected);
  });
});

describe("windowSpan", () => {
  test("months are those of the calendar, over all of it", () => {
    fc.assert(
      fc.property(times, (time) => {
        const date = new Date(time);
        const from = new Date(0);
        from.setUTCFullYear(date.getUTCFullYear(), date.getUTCMonth(), 1);
        const to = new Date(from);
        to.setUTCMonth(from.getUTCMonth() + 1);
        expect(windowSpan(time, "month")).toEqual({ from: from.getTime(), to: to.getTime() });
      }),
      { numRuns: 5000 },
    );
  });

  test.each([
    ["2027-02-28T23:59:59.999Z", "2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z"],
    ["2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"],
    ["2000-02-29T00:00:00Z", "2000-02-01T00:00:00Z", "2000-03-01T00:00:00Z"],
    ["1900-02-28T00:00:00Z", "1900-02-01T00:00:00Z", "1900-03-01T00:00:00Z"],
    ["2026-12-31T23:59:59.999Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"],
    // The year whose last day lies furthest from where years of average length would put it.
    ["2096-12-31T12:00:00Z", "2096-12-01T00:00:00Z", "2097-01-01T00:00:00Z"],
    ["2303-01-01T00:00:00Z", "2303-01-01T00:00:00Z", "2303-02-01T00:00:00Z"],
    ["2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"],
    ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-02-01T00:00:00Z"],
    ["1969-12-31T23:59:59.999Z", "1969-12-01T00:00:00Z", "1970-01-01T00:00:00Z"],
  ])("the month of %s", (time, from, to) => {
    expect(windowSpan(utc(time), "month")).toEqual({ from: utc(from), to: utc(to) });
  });

  test("hours, days and widths are half-open spans of UTC", () => {
    const time = utc("2027-03-14T07:30:15.250Z");
    expect(windowSpan(time, "hour")).toEqual({ from: utc("2027-03-14T07:00:00Z"), to: utc("2027-03-14T08:00:00Z") });
    expect(windowSpan(time, "day")).toEqual({ from: utc("2027-03-14T00:00:00Z"), to: utc("2027-03-15T00:00:00Z") });
    expect(windowSpan(time, 60_000)).toEqual({ from: utc("2027-03-14T07:30:00Z"), to: utc("2027-03-14T07:31:00Z") });
  });

  test("a time that is no number is refused, not looped over", () => {
    expect(() => windowSpan(Number.NaN, "month")).toThrow(
      new RangeError("expected a time in whole milliseconds, received NaN"),
    );
  });
});
