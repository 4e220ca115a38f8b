import { describe, expect, it } from "vitest";

import { formatProblems, readConfig } from "../../src/config/index.ts";
import { MISTAKES_IN_FORM } from "./mistakes-in-form.ts";
import { MISTAKES_IN_MEANING } from "./mistakes-in-meaning.ts";

const MISTAKES = [...MISTAKES_IN_MEANING, ...MISTAKES_IN_FORM];
const env = { STRIPE_API_KEY: "sk_test_x", LIVE_KEY: "sk_live_x" };

describe("mistakes in a configuration", () => {
  it("are at least forty", () => {
    expect(MISTAKES.length).toBeGreaterThanOrEqual(40);
  });

  it.each(MISTAKES)("$name: place and whole text", ({ text, at, printed }) => {
    const reading = readConfig({ text, format: "yaml", file: "meterbook.yaml", env, directory: "/app" });
    if (reading.ok) throw new Error("the mistake was accepted");
    expect(formatProblems(reading.problems)).toBe(printed);
    const lines = text.split("\n");
    const places = reading.problems.map(({ line, column }) => lines[(line ?? 0) - 1]?.slice((column ?? 0) - 1) ?? "");
    expect(places.some((rest) => rest.startsWith(at))).toBe(true);
  });
});
