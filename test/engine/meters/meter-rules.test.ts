import { describe, expect, it } from "vitest";

import { isMeterbookError } from "../../../src/core/errors.ts";
import { definitionOf } from "../../../src/engine/meters/meter-rules.ts";
import type { MeterDraft } from "../../../src/engine/meters/meter-view.ts";
import { TOKENS } from "./meters-desk.ts";

/** `pointer: message` of each mistake; empty when there is none. */
function mistakesOf(changes: Partial<MeterDraft>): readonly string[] {
  try {
    definitionOf({ ...TOKENS, ...changes });
    return [];
  } catch (error) {
    if (!isMeterbookError(error) || error.code !== "METER_REQUEST_INVALID") throw error;
    return error.mistakes.map(({ pointer, message }) => `${pointer}: ${message}`);
  }
}

function match(filter: NonNullable<MeterDraft["match"]>[number]): readonly string[] {
  return mistakesOf({ match: [{ cel: "true" }, filter] });
}

describe("a draft of a meter", () => {
  it("defines a meter with the defaults of the API", () => {
    expect(definitionOf({ key: "k", eventType: "t", aggregate: "count" })).toEqual({
      key: "k",
      name: "k",
      unit: null,
      eventType: "t",
      match: [],
      aggregate: "count",
      value: null,
      groupBy: {},
      missingValue: "skip",
      allowNegative: true,
      report: false,
      reportAs: "k",
    });
    const stated = { name: "N", unit: "u", report: true, missingValue: "hold", allowNegative: false } as const;
    expect(definitionOf({ ...TOKENS, ...stated })).toMatchObject(stated);
  });

  it.each([
    [
      "key",
      ["a", "a_1", "1_a", "a".repeat(64)],
      ["", "A", "a-b", "_a", "a_", "a__b", "a.b", "é", "a\n", "a".repeat(65)],
    ],
    ["eventType", ["t", "kong.llm_request", "omx", "_x", "Ö"], ["", "om.x", "_.x", "a\u0000", "x".repeat(257)]],
    [
      "value",
      ["data.tokens", "data", "attributes.x", "subject", "$.data.tokens", 'data["a b"][0]'],
      ["", "tokens", "data..x", "subject.x", "$[?(@.x)]", "fields.x", "request.rout"],
    ],
    ["eventFrom", [0, -1, null, 8_639_999_999_999_999], [0.5, Number.NaN, 8_640_000_000_000_000, Infinity]],
    ["name", ["x".repeat(256)], ["", "x".repeat(257)]],
    ["description", ["", null, "x".repeat(2_000)], ["x".repeat(2_001)]],
    ["unit", ["", null, "GB"], ["x".repeat(257)]],
  ] as const)("has a %s that is in order or named as a mistake", (name, good, bad) => {
    for (const value of good) expect(mistakesOf({ [name]: value })).toEqual([]);
    for (const value of bad) {
      const found = mistakesOf({ [name]: value });
      expect([value, found.length > 0, found.every((mistake) => mistake.startsWith(`/${name}: `))]).toEqual([
        value,
        true,
        true,
      ]);
    }
  });

  it("has a value unless it counts events", () => {
    expect(mistakesOf({ aggregate: "count" })).toEqual(["/value: count counts events and has no value"]);
    expect(mistakesOf({ aggregate: "count", value: null })).toEqual([]);
    for (const aggregate of ["sum", "min", "max", "avg", "unique", "latest"] as const)
      expect(mistakesOf({ aggregate, value: null })).toEqual([
        `/value: is missing; ${aggregate} needs the path of its value`,
      ]);
  });

  it("has labels with names of their own, none at the value's path", () => {
    const label = (name: string, path = "data.x") => mistakesOf({ groupBy: { [name]: path } });
    for (const name of ["a", "_a", "A1", "a".repeat(64)]) expect(label(name)).toEqual([]);
    for (const name of ["", "1a", "a b", "é", "$subject", "a".repeat(65)]) expect(label(name)).toHaveLength(1);
    expect(label("a/b~c")).toEqual(["/groupBy/a~1b~0c: a label is letters, digits and underscores, at most 64"]);
    for (const name of ["subject", "customer", "customer_id"])
      expect(label(name)).toEqual([`/groupBy/${name}: every meter can be grouped by it already; choose another name`]);
    expect([label("a", "data.tokens"), label("a", 'data["tokens"]')].flat()).toEqual([
      "/groupBy/a: is the path of the meter's value",
      "/groupBy/a: is the path of the meter's value",
    ]);
    expect(mistakesOf({ value: "$.data.tokens", groupBy: { a: "$.data.tokens" } })).toHaveLength(1);
    expect(mistakesOf({ groupBy: { a: "data.x", b: "data.x" } })).toEqual([]);
    const many = Array.from({ length: 33 }, (_, at) => [`l${at}`, "data.x"]);
    expect(mistakesOf({ groupBy: Object.fromEntries(many) })).toEqual(["/groupBy: a meter has at most 32 labels"]);
    expect(mistakesOf({ groupBy: Object.fromEntries(many.slice(1)) })).toEqual([]);
  });

  it("matches by filters over an event", () => {
    expect(match({ path: "data.region", op: "eq", value: "eu" })).toEqual([]);
    expect(match({ or: [{ not: { path: "attributes.x", op: "exists", value: true } }] })).toEqual([]);
    expect(match({ path: "region", op: "eq", value: "eu" })[0]).toContain('/match/1: no event has "region"');
    expect(match({ cel: "data.x ==" })[0]).toMatch(/^\/match\/1: /);
    expect(match({ path: "data.x", op: "matches", value: "(" })[0]).toContain("/match/1: bad regular expression");
  });

  it("is reported only where windows add up", () => {
    expect(mistakesOf({ report: true })).toEqual([]);
    expect(mistakesOf({ report: true, aggregate: "max" })[0]).toContain("/report: a max cannot be reported");
  });

  it("is refused with all its mistakes at once", () => {
    expect(mistakesOf({ key: "A", eventType: "om.x", value: "x", groupBy: { "1": "data.x" } })).toHaveLength(4);
  });
});
