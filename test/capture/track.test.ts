import { describe, expect, it } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import { rig, untyped } from "./rig.ts";

describe("track", () => {
  it("records work that is no request, and answers its id", () => {
    const parts = rig();
    const id = parts.capture.track("batch.run", {
      companyId: 42,
      userId: "u1",
      metadata: { rows: 10 },
      values: { rows: "10.50", bytes: 5n, seconds: 0.25 },
    });
    expect(id).toBe("e1");
    expect(parts.recorder.entries).toMatchObject([
      {
        event: {
          source: "meterbook/track",
          id: "e1",
          type: "batch.run",
          company: "42",
          user: "u1",
          metadata: { rows: 10 },
          values: { rows: "10.5", bytes: "5", seconds: "0.25" },
        },
        open: [],
      },
    ]);
    expect(parts.recorder.events[0]).not.toHaveProperty("recordedAt");
    expect(parts.capture.stats()).toMatchObject({ tracked: 1, recorded: 1 });
  });

  it("keeps an id and a time that are given, and when it was told", () => {
    const parts = rig();
    expect(parts.capture.track("x", { id: "mine", time: new Date(1000) })).toBe("mine");
    parts.capture.track("x", { time: 2000 });
    expect(parts.recorder.events).toMatchObject([
      { id: "mine", time: 1000, company: null, recordedAt: expect.any(Number) },
      { id: "e1", time: 2000 },
    ]);
  });

  const wrong: [string, unknown, unknown, RegExp][] = [
    ["no action", undefined, {}, /expected the action's name; received undefined/],
    ["an empty action", "", {}, /expected the action's name/],
    ["a reserved action", "http.request", {}, /begin with "http\."/],
    ["a list of details", "x", null, /expected an object of details; received null/],
    ["an unknown detail", "x", { company: "a" }, /no detail "company"/],
    [
      "an object as company",
      "x",
      { companyId: {} },
      /companyId: expected a text or a whole number; received an object/,
    ],
    ["an empty company", "x", { companyId: "" }, /companyId: expected 1 to 256 characters/],
    ["an unclean id", "x", { id: "a\nb" }, /id: expected 1 to 256 characters/],
    ["an invalid date", "x", { time: new Date(Number.NaN) }, /time: expected a Date/],
    ["a time in text", "x", { time: "2026-01-01" }, /time: expected a Date, or milliseconds/],
    ["metadata without JSON", "x", { metadata: () => 1 }, /metadata: expected JSON; received a function/],
    ["too much metadata", "x", { metadata: "x".repeat(limits.bodyBytesMax) }, /metadata: more than/],
    ["a value that is no number", "x", { values: { n: "1,5" } }, /values\.n: expected a number.*not_a_number/],
    ["a value that a double may have rounded", "x", { values: { n: 2 ** 53 } }, /values\.n.*unsafe_integer/],
    ["values that are no object", "x", { values: 5 }, /values: expected an object of numbers; received 5/],
  ];

  it.each(wrong)("refuses %s", (_, action, details, text) => {
    const parts = rig();
    const call = (): string => parts.capture.track(untyped(action), untyped(details));
    expect(call).toThrow(text);
    expect(call).toThrow(expect.objectContaining({ code: "METER_TRACK_INVALID" }));
    expect(parts.recorder.lines).toEqual([]);
  });

  it("refuses metadata that turns in a circle, with the cause", () => {
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    expect(() => rig().capture.track("x", { metadata: circle })).toThrow(
      expect.objectContaining({ code: "METER_TRACK_INVALID", cause: expect.any(TypeError) }),
    );
  });

  it("says so when the event was refused", () => {
    const parts = rig();
    parts.recorder.refuses = true;
    expect(() => parts.capture.track("x", { companyId: "acme" })).toThrow(
      expect.objectContaining({ code: "METER_BACKLOG_FULL" }),
    );
    expect(parts.capture.stats()).toMatchObject({ refused: 1, recorded: 0 });
  });
});
