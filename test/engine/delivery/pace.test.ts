import { describe, expect, it } from "vitest";

import { pace } from "../../../src/engine/delivery/pace.ts";
import { limits } from "../../../src/engine/limits.ts";
import { START } from "../world.ts";

describe("the row of calls", () => {
  it("gives each call a place a pace behind the one before, in whole milliseconds, and a late one its own time", () => {
    const calls = pace(3);
    expect([0, 0, 0, 10].map((now) => START + now).map((now) => calls.delayMs(now))).toEqual([0, 334, 667, 990]);
    expect(calls.delayMs(START + 60_000)).toBe(0);
    expect(calls.delayMs(START + 60_000)).toBe(334);
  });

  it("is two minutes long at most: what would wait longer was put there by a clock that was set back", () => {
    const calls = pace(1);
    for (let place = 0; place <= 120; place++) expect(calls.delayMs(START)).toBe(place * 1_000);
    expect(calls.delayMs(START)).toBe(0);
    expect(calls.delayMs(START)).toBe(1_000);
  });
});

describe("the pace", () => {
  it("begins with that of the limits, or as it is told", () => {
    expect(pace().perSecond()).toBe(limits.reportsPerSecondStart);
    expect(pace(7).perSecond()).toBe(7);
  });

  it("is halved once for all complaints of a second, whichever way the clock goes", () => {
    const calls = pace(64);
    calls.slower(START);
    calls.slower(START + 999);
    calls.slower(START - 999);
    expect(calls.perSecond()).toBe(32);
    calls.slower(START + 1_000);
    expect(calls.perSecond()).toBe(16);
    calls.slower(START);
    expect(calls.perSecond()).toBe(8);
  });

  it("grows by one call a second for each second without a complaint", () => {
    const calls = pace(10);
    calls.faster();
    expect(calls.perSecond()).toBeCloseTo(10.1, 12);
    for (let call = 1; call < 10; call++) calls.faster();
    expect(calls.perSecond()).toBeGreaterThan(10.9);
    expect(calls.perSecond()).toBeLessThan(11);
  });

  it("stays within its bounds, and spaces the calls that follow", () => {
    const fast = pace(limits.reportsPerSecondMax);
    fast.faster();
    expect(fast.perSecond()).toBe(limits.reportsPerSecondMax);
    const slow = pace(limits.reportsPerSecondMin * 1.5);
    slow.slower(START);
    expect(slow.perSecond()).toBe(limits.reportsPerSecondMin);
    slow.delayMs(START);
    expect(slow.delayMs(START)).toBe(1_000 / limits.reportsPerSecondMin);
  });
});
