import { assert, constantFrom, integer, property, record } from "fast-check";
import { expect, it } from "vitest";
import { boundaryAfter, boundaryUpTo } from "../../src/testing/local-stripe/billing/calendar.ts";

const DAY = 86_400;
const instant = integer({ min: 0, max: 4_000_000_000 });
const cycles = record({
  anchor: instant,
  interval: constantFrom("day" as const, "week" as const, "month" as const, "year" as const),
  count: integer({ min: 1, max: 12 }),
});
const LONGEST = { day: DAY, week: 7 * DAY, month: 31 * DAY, year: 366 * DAY };

it("cuts all time into periods that follow each other, whatever the anchor", () => {
  assert(
    property(cycles, instant, (cycle, seconds) => {
      const start = boundaryUpTo(cycle, seconds);
      const end = boundaryAfter(cycle, seconds);
      expect(start).toBeLessThanOrEqual(seconds);
      expect(end).toBeGreaterThan(seconds);
      expect(boundaryAfter(cycle, start)).toBe(end);
      expect(boundaryUpTo(cycle, end)).toBe(end);
      expect(boundaryUpTo(cycle, end - 1)).toBe(start);
      expect(end - start).toBeLessThanOrEqual(LONGEST[cycle.interval] * cycle.count);
      expect(boundaryUpTo(cycle, cycle.anchor)).toBe(cycle.anchor);
    }),
    { seed: 20_261_115, numRuns: 2_000 },
  );
});
