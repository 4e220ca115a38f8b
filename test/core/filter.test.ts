import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Filter } from "../../src/core/filter.ts";
import { compileFilter, FilterError } from "../../src/core/filter.ts";
import { matchesGlob } from "../../src/core/glob.ts";
import { equalityKey } from "../../src/core/scalar.ts";
import { chatEvent } from "./match-fixtures.ts";

function holds(op: string, wanted: unknown, event: object): boolean {
  const filter: Filter = JSON.parse(JSON.stringify({ path: "v", op, value: wanted }));
  return compileFilter(filter).test(event);
}

describe("comparisons", () => {
  test.each<[string, unknown, unknown, boolean]>([
    // operator, wanted, value, holds
    ["eq", 200, 200, true],
    ["eq", 200, "200", true],
    ["eq", "200", 200, true],
    ["eq", "200", "2e2", true],
    ["eq", 200, "200.0", true],
    ["eq", 200, "0200", false],
    ["eq", 200, " 200", false],
    ["eq", "0.3", 0.3, true],
    ["eq", "9007199254740993", "9007199254740992", false],
    ["eq", "/chat", "/chat", true],
    ["eq", "/chat", "/Chat", false],
    ["eq", true, "true", true],
    ["eq", "true", true, true],
    ["eq", null, null, true],
    ["eq", null, "null", true],
    ["eq", 1, true, false],
    ["eq", "", null, false],
    ["ne", 200, 429, true],
    ["ne", 200, "200", false],
    ["gt", 9, "10", true],
    ["gt", "9", "10", true],
    ["gt", "a", "b", true],
    ["gt", 9, 9, false],
    ["gte", 9, "9.0", true],
    ["gte", 9, -1, false],
    ["lt", "9007199254740993", "9007199254740992", true],
    ["lt", 300, 299, true],
    ["lte", 300, 300, true],
    ["lte", 300, "300.000000000001", false],
    ["in", [200, 201], 201, true],
    ["in", [200, 201], "201", true],
    ["in", [200, 201], 404, false],
    ["in", [], 1, false],
    ["not_in", [200, 201], 404, true],
    ["not_in", [200, 201], "200", false],
    ["exists", true, null, true],
    ["exists", true, "", true],
    ["exists", false, 0, false],
    ["contains", "at", "chat", true],
    ["contains", "AT", "chat", false],
    ["contains", "2", 429, true],
    ["starts_with", "/v1", "/v1/chat", true],
    ["starts_with", "/v2", "/v1/chat", false],
    ["ends_with", "chat", "/v1/chat", true],
    ["like", "/v?/chat*", "/v1/chat/9", true],
    ["like", "/v?/chat", "/v12/chat", false],
    ["matches", "^/v[0-9]+/", "/v12/chat", true],
    ["matches", "v[0-9]", "/v1", true],
    ["matches", "^v[0-9]", "/v1", false],
  ])("%s %j on %j: %j", (op, wanted, value, expected) => {
    expect(holds(op, wanted, { v: value })).toBe(expected);
  });

  test.each<[string, unknown, boolean]>([
    ["eq", "x", false],
    ["eq", null, false],
    ["ne", "x", true],
    ["gt", 0, false],
    ["lt", 0, false],
    ["lte", "", false],
    ["in", ["x"], false],
    ["not_in", ["x"], true],
    ["exists", true, false],
    ["exists", false, true],
    ["contains", "", false],
    ["starts_with", "", false],
    ["like", "*", false],
    ["matches", "", false],
  ])("%s %j on a missing value: %j", (op, wanted, expected) => {
    expect(holds(op, wanted, {})).toBe(expected);
  });

  test.each<[string, unknown, unknown, boolean]>([
    ["eq", "b", ["a", "b"], true],
    ["eq", "c", ["a", "b"], false],
    ["eq", 7, ["5", "7"], true],
    ["ne", "b", ["a", "b"], false],
    ["in", ["b", "c"], ["a", "b"], true],
    ["not_in", ["c"], ["a", "b"], true],
    ["contains", "el", ["hello", "x"], true],
    ["like", "a, b", ["a", "b"], true],
    ["eq", "a", [], false],
  ])("%s %j on a repeated header %j: %j", (op, wanted, value, expected) => {
    expect(holds(op, wanted, { v: value })).toBe(expected);
  });

  test("numbers compare as their exact decimals do", () => {
    const integers = fc.maxSafeInteger();
    fc.assert(
      fc.property(integers, integers, fc.boolean(), fc.boolean(), (a, b, aAsText, bAsText) => {
        const value = aAsText ? String(a) : a;
        const wanted = bAsText ? String(b) : b;
        expect(holds("eq", wanted, { v: value })).toBe(a === b);
        expect(holds("gt", wanted, { v: value })).toBe(a > b);
        expect(holds("lte", wanted, { v: value })).toBe(a <= b);
        expect(equalityKey(value) === equalityKey(wanted)).toBe(a === b);
      }),
    );
  });
});

describe("regular expressions", () => {
  test.each(["(?=a)b", String.raw`(a)\1`, "(?<!x)y", "a("])("%s is refused with RE2's restrictions", (pattern) => {
    const compile = () => compileFilter({ path: "v", op: "matches", value: pattern });
    expect(compile).toThrow(FilterError);
    expect(compile).toThrow(/RE2 has no lookahead, lookbehind or back-references/);
  });

  test("a pattern that takes a backtracking engine for ever is decided", () => {
    const filter = compileFilter({ path: "v", op: "matches", value: "^(a+)+$" });
    expect(filter.test({ v: `${"a".repeat(5_000)}!` })).toBe(false);
  });
});

describe("globs", () => {
  test("agree with the regular expression they stand for", () => {
    const patterns = fc.string({ unit: fc.constantFrom("a", "b", "*", "?", "💧"), maxLength: 8 });
    const texts = fc.string({ unit: fc.constantFrom("a", "b", "💧", "\n"), maxLength: 10 });
    fc.assert(
      fc.property(patterns, texts, (pattern, text) => {
        const regex = new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`, "su");
        expect(matchesGlob(pattern, text)).toBe(regex.test(text));
      }),
      { numRuns: 1_000 },
    );
  });

  test("many stars stay cheap", () => {
    expect(matchesGlob("*a".repeat(50), "b".repeat(20_000))).toBe(false);
  });
});

function status(value: number): Filter {
  return { path: "response.status", op: "eq", value };
}

describe("trees", () => {
  test("and, or, not", () => {
    const event = chatEvent();
    expect(compileFilter({ and: [status(200), { path: "company", op: "eq", value: "acme" }] }).test(event)).toBe(true);
    expect(compileFilter({ and: [] }).test(event)).toBe(true);
    expect(compileFilter({ or: [status(500), status(200)] }).test(event)).toBe(true);
    expect(compileFilter({ or: [] }).test(event)).toBe(false);
    expect(compileFilter({ not: status(200) }).test(event)).toBe(false);
  });

  test("cel", () => {
    const event = chatEvent();
    expect(compileFilter({ cel: 'response.status == 200 && request.body.model == "small"' }).test(event)).toBe(true);
    expect(compileFilter({ cel: 'like(request.route, "/ch*")' }).test(event)).toBe(true);
    const broken = compileFilter({ cel: 'request.body.nothing == "x"' });
    expect(broken.test(event)).toBe(false);
    expect(broken.failure(event)).toContain("cannot be decided");
    expect(broken.failure(event)).toContain("No such key: nothing");
  });
});

describe("failures in words", () => {
  const event = chatEvent({ response: { status: 429, headers: {} }, request: { route: "/health" } });

  test.each<[Filter, string]>([
    [{ path: "response.status", op: "eq", value: 200 }, "response.status is 429, wants 200"],
    [{ path: "request.route", op: "eq", value: "/chat" }, 'request.route is "/health", wants "/chat"'],
    [
      { path: "response.headers.X-Tokens-Used", op: "exists", value: true },
      "response.headers.X-Tokens-Used is missing",
    ],
    [{ path: "response.headers.X-Tokens-Used", op: "gt", value: 0 }, "response.headers.X-Tokens-Used is missing"],
    [{ path: "response.status", op: "lt", value: 300 }, "response.status is 429, wants < 300"],
    [{ path: "response.status", op: "in", value: [200, 201] }, "response.status is 429, wants one of 200, 201"],
    [{ path: "response.status", op: "not_in", value: [429] }, "response.status is 429, wants none of 429"],
    [{ path: "response.status", op: "ne", value: 429 }, "response.status is 429, wants anything but 429"],
    [{ path: "response.status", op: "exists", value: false }, "response.status is 429, wants it absent"],
    [{ path: "request.route", op: "like", value: "/c*" }, 'request.route is "/health", wants text like "/c*"'],
    [
      { not: { path: "response.status", op: "gte", value: 400 } },
      "response.status gte 400 holds, wants that it does not",
    ],
    [
      {
        or: [
          { path: "response.status", op: "eq", value: 200 },
          { path: "response.status", op: "eq", value: 201 },
        ],
      },
      "response.status is 429, wants 200; and response.status is 429, wants 201",
    ],
    [{ cel: "response.status < 300" }, '"response.status < 300" is false'],
  ])("%j", (filter, sentence) => {
    expect(compileFilter(filter).failure(event)).toBe(sentence);
  });

  test("long values are cut", () => {
    const filter = compileFilter({ path: "v", op: "eq", value: "x" });
    expect(filter.failure({ v: "y".repeat(10_000) }).length).toBeLessThan(120);
  });
});

const scalars = fc.oneof(
  fc.constantFrom("a", "", "200", "2e2", "-1", 200, 0.5, 1e21, true, null, "null"),
  fc.string({ maxLength: 4 }),
  fc.integer(),
);
const comparisons: fc.Arbitrary<Filter> = fc.oneof(
  fc.record({ path: path(), op: fc.constantFrom("eq", "ne", "gt", "gte", "lt", "lte"), value: scalars }),
  fc.record({ path: path(), op: fc.constantFrom("in", "not_in"), value: fc.array(scalars, { maxLength: 3 }) }),
  fc.record({ path: path(), op: fc.constant("exists"), value: fc.boolean() }),
  fc.record({
    path: path(),
    op: fc.constantFrom("contains", "starts_with", "ends_with", "like"),
    value: fc.string({ maxLength: 3 }),
  }),
);
const filters: fc.Arbitrary<Filter> = fc.letrec<{ tree: Filter }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    comparisons,
    fc.record({ and: fc.array(tie("tree"), { maxLength: 3 }) }),
    fc.record({ or: fc.array(tie("tree"), { maxLength: 3 }) }),
    fc.record({ not: tie("tree") }),
    fc.constant({ cel: "has(request.body.a)" }),
  ),
})).tree;

function path(): fc.Arbitrary<string> {
  return fc.constantFrom("a", "b", "metadata.a");
}

test("a filter holds exactly when it names no failure", () => {
  const values = fc.oneof(scalars, fc.array(scalars, { maxLength: 2 }), fc.constant(undefined), fc.object());
  fc.assert(
    fc.property(filters, values, values, (filter, a, b) => {
      const event = { a, b, metadata: { a: b } };
      const compiled = compileFilter(filter);
      expect(compiled.failure(event) === "").toBe(compiled.test(event));
    }),
    { numRuns: 500 },
  );
});
