import { describe, expect, test } from "vitest";
import { compileExpression } from "../../src/core/expression.ts";
import { expressionView } from "../../src/core/expression-view.ts";
import { chatEvent } from "./match-fixtures.ts";

/** Numbers that a double cannot tell apart; `n` is a double, since it stands in a JSON body. */
const event = chatEvent({
  metadata: { less: "9007199254740992", equal: "9007199254740993", more: "9007199254740994" },
  request: { route: "/", body: { n: 2.5 } },
});

function evaluate(text: string): unknown {
  const result = compileExpression(text).evaluate(expressionView(event, {}));
  return "fault" in result ? `fault: ${result.detail}` : result.value;
}

describe("exact numbers", () => {
  test.each([
    ["<", [true, false, false]],
    ["<=", [true, true, false]],
    [">", [false, false, true]],
    [">=", [false, true, true]],
    ["==", [false, true, false]],
    ["!=", [true, false, true]],
  ])("are compared by %s down to the last digit", (sign, expected) => {
    const against = ["less", "equal", "more"].map((name) =>
      evaluate(`number(metadata.${name}) ${sign} number(metadata.equal)`),
    );
    expect(against).toEqual(expected);
  });

  test.each([
    ["<", [true, false, false]],
    ["<=", [true, true, false]],
    [">", [false, false, true]],
    [">=", [false, true, true]],
    ["==", [false, true, false]],
  ])("are compared by %s with ints and doubles, on either side", (sign, expected) => {
    const numbers = ["2.4", "2.5", "2.6"];
    expect(numbers.map((text) => evaluate(`number("${text}") ${sign} request.body.n`))).toEqual(expected);
    expect(["1", "2", "3"].map((text) => evaluate(`number("${text}") ${sign} 2`))).toEqual(expected);
    expect(["3", "2", "1"].map((text) => evaluate(`2 ${sign} number("${text}")`))).toEqual(expected);
    expect(numbers.toReversed().map((text) => evaluate(`request.body.n ${sign} number("${text}")`))).toEqual(expected);
  });

  test.each([
    ['number("7") / 0', "division by zero"],
    ['number("7") % 0', "modulo by zero"],
    ['number("7") % number("0.0")', "modulo by zero"],
    ['number("0.0000001") * number("0.000001")', "a product has more than 12 fraction digits"],
    ["number(metadata)", "cannot be used as a number: not_a_number"],
    ['number(["5"])', "cannot be used as a number: not_a_number"],
  ])("%s is a fault that says why", (text, detail) => {
    expect(evaluate(text)).toContain(detail);
  });

  test.each([
    ['number("7.5") % number("2")', "1.5"],
    ['number("-7.5") % 2', "-1.5"],
    ["request.body.n - 5", "-2.5"],
    ['number("1") - number("0.000000000001")', "0.999999999999"],
    ['2 / number("3")', "0.666666666667"],
    ['request.body.n * number("0.2")', "0.5"],
    ['-(number("1") - 3)', "2"],
  ])("%s is %s", (text, expected) => {
    expect(evaluate(text)).toBe(expected);
  });
});
