import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDecimal, isFault, parseDecimal, readDecimal } from "../../src/core/decimal.ts";
import type { UsageEvent } from "../../src/core/event.ts";
import { compileExpression, ExpressionError } from "../../src/core/expression.ts";
import { expressionView } from "../../src/core/expression-view.ts";
import { chatEvent } from "./match-fixtures.ts";

function evaluate(text: string, event: UsageEvent): unknown {
  const result = compileExpression(text).evaluate(expressionView(event, {}));
  return "fault" in result ? `fault: ${result.detail}` : result.value;
}

function errorOf(text: string, purpose: "field" | "condition" = "field"): ExpressionError {
  try {
    compileExpression(text, purpose);
  } catch (error) {
    if (error instanceof ExpressionError) return error;
    throw error;
  }
  throw new Error(`${text} was accepted`);
}

const event = chatEvent({
  response: {
    status: 200,
    headers: { "x-tokens-used": "120", "x-tokens-cached": "20", "x-cost": "0.1", again: ["1", "2"] },
  },
  request: { route: "/chat", body: { n: 5, half: 0.5, model: "small", list: [1, 2, 3], big: 9007199254740992 } },
  values: { tokens: "7.25" },
});

describe("arithmetic", () => {
  test.each<[string, unknown]>([
    ['number(response.headers["x-tokens-used"]) - number(response.headers[?"x-tokens-cached"].orValue("0"))', "100"],
    ['number(response.headers["x-tokens-used"]) - number(response.headers[?"nothing"].orValue("0"))', "120"],
    ['number(response.headers["x-cost"]) + number("0.2")', "0.3"],
    ["number(values.tokens) * 2", "14.5"],
    ["number(values.tokens) * 0.5", "3.625"],
    ["2 * number(values.tokens)", "14.5"],
    ["-number(values.tokens)", "-7.25"],
    ['number("7") / 2', "3.5"],
    ['number("1") / 3', "0.333333333333"],
    ['number("7") % 4', "3"],
    ["request.body.n + 1", "6"],
    ["1 + request.body.n", "6"],
    ["request.body.n - 1", "4"],
    ["request.body.n * 2", "10"],
    ["2 * request.body.n", "10"],
    ["request.body.n / 2", "2.5"],
    ["10 / request.body.n", "2"],
    ["request.body.n % 3", "2"],
    ["13 % request.body.n", "3"],
    ["request.body.half + request.body.n", 5.5],
    ["request.body.n", 5],
    ["7 / 2", "3"],
    ["size(request.body.list)", "3"],
    ["request.body.n > 3 ? number(values.tokens) : 0", "7.25"],
    ["request.body.n > 9 ? number(values.tokens) : 0", "0"],
    ['number("9007199254740993") + 1', "9007199254740994"],
    ['number("12") > 9', true],
    ['number("12") == 12', true],
    ["9 < number(values.tokens)", false],
    ["number(request.body.n) >= request.body.n", true],
    ['has(response.headers.gone) ? "a" : "b"', "b"],
    ["has(request.body.model)", true],
    ["has(metadata.gone)", false],
    ['response.headers[?"gone"]', undefined],
    ["request.body.list.map(n, n + 1)", ["2", "3", "4"]],
    ['{"a": number("3")}', { a: "3" }],
    ['like(request.route, "/c*")', true],
    ['re2_matches(request.body.model, "^sm")', true],
    ["company == null", false],
  ])("%s", (text, expected) => {
    expect(evaluate(text, event)).toEqual(expected);
  });

  test("a header's presence is asked without a body", () => {
    expect(evaluate("has(request.body.model)", chatEvent({ request: { route: "/" } }))).toBe(false);
    expect(evaluate("has(response.headers.x)", { ...event, response: { status: 200 } })).toBe(false);
  });

  test("number() calculates as the decimals do", () => {
    const decimals = fc
      .tuple(fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }), fc.integer({ min: 0, max: 6 }))
      .map(([digits, scale]) => `${digits}e-${scale}`);
    const sum = compileExpression("number(metadata.a) + number(metadata.b) * 2");
    fc.assert(
      fc.property(decimals, decimals, (a, b) => {
        const result = sum.evaluate(expressionView(chatEvent({ metadata: { a, b } }), {}));
        const [left, right] = [parseDecimal(a), parseDecimal(b)];
        if (typeof left !== "bigint" || typeof right !== "bigint") throw new Error("not decimals");
        expect(result).toEqual({ value: formatDecimal(left + right * 2n) });
      }),
    );
  });
});

describe("faults", () => {
  test.each([
    ['number("12abc")', "cannot be used as a number: not_a_number"],
    ["number(response.headers.again)", "not_a_number"],
    ["number(request.body.gone)", "No such key: gone"],
    ["number(company)", "not_a_number"],
    ["1.0 / 0.0", "which is not exact"],
    ["0.1 + 0.2", "use number() around its parts"],
    ["number(values.tokens) / 0", "division by zero"],
    ["request.body.n / 0", "division by zero"],
    ["request.body.big + 1", "unsafe_integer"],
    ["request.body.model + 1", "no such overload"],
    ['number("0.0000001") * number("0.0000001")', "more than 12 fraction digits"],
    ['timestamp("2024-01-01T00:00:00Z")', "gives no JSON value"],
    ['b"abc"', "gives no JSON value"],
    ["request.constructor", "No such key"],
    ["request.body.__proto__", "No such key"],
    ["metadata.region.constructor", "No such key"],
  ])("%s", (text, detail) => {
    const result = compileExpression(text).evaluate(expressionView(event, {}));
    expect(result).toMatchObject({ fault: "field_error" });
    expect("fault" in result && result.detail).toContain(detail);
  });

  test("never throws and never gives what is not exact", () => {
    const json = fc.jsonValue();
    const expressions = ["metadata", "metadata.a + 1", "number(metadata.a)", "metadata.a * metadata.b"].map((text) =>
      compileExpression(text),
    );
    const property = fc.property(json, json, (a, b) => {
      const view = expressionView({ metadata: { a, b } }, {});
      return expressions.every((expression) => {
        const result = expression.evaluate(view);
        return !("value" in result) || typeof result.value !== "number" || !isFault(readDecimal(result.value));
      });
    });
    expect(fc.check(property).failed).toBe(false);
  });
});

describe("refused when compiled", () => {
  test.each([
    ["1 +", 3, "Unexpected"],
    ["respone.status", 0, "Unknown variable: respone"],
    ["fields.other", 0, "Unknown variable: fields"],
    ['request.route.matches("a")', 0, "matches() is refused"],
    ['true && request.body.list.exists(x, x.matches("a"))', 36, "matches() is refused"],
    ['response.headers["X-Tokens-Used"]', 0, 'write "x-tokens-used"'],
    ['has(request.headers.Accept) && request.headers.Accept == ""', 4, 'write "accept"'],
    ['re2_matches(request.route, "(?=a)")', 0, "RE2 has no lookahead"],
    ['"a" < 3', 0, "no such overload"],
    ["globalThis", 0, "Unknown variable"],
    ["constructor", 0, "Unknown variable"],
  ])("%s", (text, offset, message) => {
    const error = errorOf(text);
    expect(error.message).toContain(message);
    expect(error.offset).toBe(offset);
    expect(error.code).toBe("METER_CONFIG_INVALID");
  });

  test("a condition must give true or false, and may read fields", () => {
    expect(errorOf("1 + 1", "condition").message).toContain("true or false");
    expect(compileExpression("fields.x > 1", "condition").reads).toEqual(["fields.x"]);
  });

  test("an expression beyond the bounds", () => {
    expect(errorOf(`${"(".repeat(200)}1${")".repeat(200)}`).message).toContain("maxDepth");
    expect(errorOf(Array.from({ length: 2_000 }, () => "1").join("+")).message).toContain("Exceeded");
  });
});

describe("what it reads", () => {
  test.each<[string, string[]]>([
    [
      'number(response.headers["x-tokens-used"]) - number(response.headers[?"x-b"].orValue("0"))',
      ["response.headers.x-b", "response.headers.x-tokens-used"],
    ],
    ["has(request.body.model)", ["request.body.model"]],
    ["request.body[metadata.key].n", ["metadata.key", "request.body"]],
    ["request.body.items[0].n", ["request.body.items.0.n"]],
    ["request.body.list.exists(x, x.n > metadata.limit)", ["metadata.limit", "request.body.list"]],
    ["cel.bind(b, request.body, b.n)", ["request.body"]],
    ['metadata["a b"] == "x" ? company : user', ["company", 'metadata["a b"]', "user"]],
    ["request.?body.?n.orValue(1)", ["request.body.n"]],
    ["1 + 1", []],
    ["size(request.body.list)", ["request.body.list"]],
    ['{"a": [metadata.x]}', ["metadata.x"]],
  ])("%s", (text, reads) => {
    expect(compileExpression(text).reads).toEqual(reads);
  });
});
