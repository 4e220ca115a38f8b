import { describe, expect, it } from "vitest";

import { instantText, readInstant } from "../../src/server/contract/instant.ts";
import { readWindow } from "../../src/server/contract/question.ts";

const shown = (text: string): string | null => instantText(readInstant(text));

describe("an instant", () => {
  it.each([
    ["2026-11-01T10:00:00Z", "2026-11-01T10:00:00.000Z"],
    ["2026-11-01t10:00:00.123456789z", "2026-11-01T10:00:00.123Z"],
    ["2026-11-01T10:00:00.5+05:45", "2026-11-01T04:15:00.500Z"],
    ["2026-01-01T00:00:00-00:30", "2026-01-01T00:30:00.000Z"],
    ["2026-11-01", "2026-11-01T00:00:00.000Z"],
    ["2028-02-29", "2028-02-29T00:00:00.000Z"],
    ["2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000Z"],
  ])("%s is %s", (text, expected) => expect(shown(text)).toBe(expected));

  it.each([
    "",
    "now",
    "2026-02-30",
    "2026-13-01",
    "2026-11-01T24:00:00Z",
    "2026-11-01T10:60:00Z",
    "2026-11-01T10:00:00+24:00",
    "1969-12-31",
    "1795341600",
    "20261101",
    "2026-11-01T10:00:00 ",
  ])("%j is none", (text) => expect(readInstant(text)).toBeNull());
});

describe("a window", () => {
  it.each([
    ["DAY", "day", 1],
    ["week", "week", 1],
    ["P3M", "quarter", 1],
    ["P1M", "month", 1],
    ["PT1H", "hour", 1],
    ["PT1M", "minute", 1],
    ["PT15M", "minute", 15],
    ["15m", "minute", 15],
  ])("%s is of the unit %s, %d of it", (text, unit, count) => expect(readWindow(text)).toEqual({ unit, count }));

  it.each(["", "0m", "PT0M", "1.5m", "P2D", "second", "constructor", "__proto__", "PT99999M"])("%j is none", (text) =>
    expect(readWindow(text)).toBeNull(),
  );
});
