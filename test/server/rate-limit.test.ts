import { describe, expect, it } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import { RateLimits } from "../../src/server/rate-limit.ts";

const rate = { perSecond: 10, burst: 20 };

describe("the rate of a caller", () => {
  it("allows the burst, then so much a second", () => {
    const rates = new RateLimits();
    for (let call = 0; call < 20; call++) expect(rates.take("a", rate, 1, 0)).toBe(0);
    expect(rates.take("a", rate, 1, 0)).toBe(100);
    expect(rates.take("a", rate, 1, 99)).toBe(1);
    expect(rates.take("a", rate, 1, 100)).toBe(0);
    expect(rates.take("a", rate, 1, 100)).toBe(100);
    expect(rates.take("b", rate, 1, 100)).toBe(0);
  });

  it("never saves up more than the burst", () => {
    const rates = new RateLimits();
    rates.take("a", rate, 1, 0);
    const allowed = Array.from({ length: 50 }, () => rates.take("a", rate, 1, 1e9)).filter((wait) => wait === 0);
    expect(allowed).toHaveLength(20);
  });

  it("makes who owes wait until it is paid", () => {
    const rates = new RateLimits();
    expect(rates.take("a", rate, 0, 0)).toBe(0);
    rates.charge("a", rate, 120, 0);
    expect(rates.take("a", rate, 0, 0)).toBe(10_000);
    expect(rates.take("a", rate, 0, 10_000)).toBe(0);
  });

  it("gives and takes nothing when the clock is set back", () => {
    const rates = new RateLimits();
    for (let call = 0; call < 20; call++) rates.take("a", rate, 1, 1_000_000);
    expect(rates.take("a", rate, 1, 0)).toBe(100);
    expect(rates.take("a", rate, 1, 100)).toBe(0);
  });

  it("remembers a bounded number of callers", () => {
    const rates = new RateLimits();
    for (let caller = 0; caller < limits.rateCallersMax + 500; caller++) rates.take(`${caller}`, rate, 1, 0);
    expect(rates.size).toBe(limits.rateCallersMax);
  });
});
