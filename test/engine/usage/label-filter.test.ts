import { describe, expect, it } from "vitest";

import { labelTest } from "../../../src/engine/usage/label-filter.ts";
import type { LabelFilter } from "../../../src/engine/usage/meter-question.ts";

describe("a filter of labels", () => {
  it.each<[LabelFilter, readonly string[], readonly string[]]>([
    [{}, ["", "a"], []],
    [{ eq: "a" }, ["a"], ["A", "", "aa"]],
    [{ ne: "a" }, ["A", ""], ["a"]],
    [{ in: ["a", "b"] }, ["a", "b"], ["c", "a,b"]],
    [{ nin: ["a", "b"] }, ["c", ""], ["a"]],
    [{ in: [] }, [], ["", "a"]],
    [{ like: "gpt-%" }, ["gpt-", "gpt-4o"], ["xgpt-4", "GPT-4"]],
    [{ like: "%4_" }, ["gpt-4o", "4x"], ["gpt-4", "4xx"]],
    [{ like: "a.c" }, ["a.c"], ["abc"]],
    [{ like: "%a%b%" }, ["ab", "xaxbx", "aab"], ["ba", "a"]],
    [{ like: "_" }, ["x", "🙂"], ["", "xx"]],
    [{ nlike: "a%" }, ["b"], ["a", "ab"]],
    [{ ilike: "GPT%" }, ["gpt-4", "Gpt"], ["xgpt"]],
    [{ nilike: "GPT%" }, ["xgpt"], ["gpt-4"]],
    [{ gt: "9" }, ["10", "9.5", "x"], ["9", "8", "-10"]],
    [{ gte: "9" }, ["9", "9.0", "10"], ["8.999999999999"]],
    [{ lt: "10" }, ["9", "-1", ""], ["10", "11", "x"]],
    [{ lte: "1e1" }, ["10", "2"], ["10.1"]],
    [{ gt: "b" }, ["c", "bb"], ["b", "a", "1"]],
    [{ gte: "2", lt: "5" }, ["2", "4.9"], ["5", "1"]],
    [{ or: [{ eq: "a" }, { like: "b%" }] }, ["a", "bb"], ["c"]],
    [{ and: [{ ne: "a" }, { or: [{ eq: "a" }, { eq: "b" }] }] }, ["b"], ["a", "c"]],
    [{ or: [] }, [], ["a"]],
  ])("%j passes %j and not %j", (filter, passing, failing) => {
    const test = labelTest(filter);
    expect(passing.filter((text) => !test(text))).toEqual([]);
    expect(failing.filter((text) => test(text))).toEqual([]);
  });

  it("with many wildcards costs no more than text times pattern", { timeout: 20_000 }, () => {
    expect(labelTest({ like: `${"%a".repeat(2_000)}b` })("a".repeat(4_000))).toBe(false);
  });
});
