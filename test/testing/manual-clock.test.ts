import { expect, it } from "vitest";
import { manualClock } from "../../src/testing/index.ts";

it("stands still until it is moved, forward or back", () => {
  const clock = manualClock(1_000);
  expect(clock.now()).toBe(1_000);
  expect(clock.now()).toBe(1_000);
  expect(clock.advance(500)).toBe(1_500);
  expect(clock.advance(-1_000)).toBe(500);
  clock.set(42);
  expect(clock.now()).toBe(42);
});

it.each([1.5, Number.NaN, Number.POSITIVE_INFINITY])("refuses %s, which is no whole number of milliseconds", (ms) => {
  expect(() => manualClock(ms)).toThrow(RangeError);
  expect(() => manualClock(0).advance(ms)).toThrow(RangeError);
  expect(() => manualClock(0).set(ms)).toThrow(RangeError);
});
