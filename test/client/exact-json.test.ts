import {
  array,
  assert,
  bigInt,
  constantFrom,
  dictionary,
  double,
  letrec,
  oneof,
  pre,
  property,
  string,
} from "fast-check";
import { expect, it } from "vitest";

import { InvalidEventError } from "../../src/client/index.ts";
import { figureText, plainJson, type Payload } from "../../src/client/exact-json.ts";
import { parseExactJson } from "../../src/core/exact-json.ts";
import { isFault, parseDecimal, readDecimal } from "../../src/core/decimal.ts";

it("writes every integer so that the service reads the same one", () => {
  assert(
    property(bigInt({ min: -(10n ** 26n) + 1n, max: 10n ** 26n - 1n }), (integer) => {
      const read = parseExactJson(JSON.stringify(plainJson({ integer }, "")));
      const { integer: sent } = read as { readonly integer: unknown };
      expect(readDecimal(sent)).toBe(integer * 10n ** 12n);
    }),
  );
});

it("writes every figure so that the service reads the same one", () => {
  assert(
    property(double({ noNaN: true, noDefaultInfinity: true }), (number) => {
      pre(!Number.isInteger(number) || Number.isSafeInteger(number));
      const text = figureText(number, "");
      const read = parseDecimal(text);
      expect(isFault(read) || Number(text) === number).toBe(true);
    }),
  );
});

it.each([2 ** 53, -(2 ** 60), 1e300])("refuses %s, which may have been rounded already", (number) => {
  expect(() => figureText(number, "/n")).toThrow(InvalidEventError);
});

it("leaves plain JSON as it is, whatever its members are called", () => {
  const { value } = letrec<{ value: Payload }>((tie) => ({
    value: oneof(
      { maxDepth: 4 },
      string(),
      constantFrom<Payload>(null, true, false, 0, -1, 0.5, 9_007_199_254_740_991),
      array(tie("value"), { maxLength: 4 }),
      dictionary(oneof(string(), constantFrom("__proto__", "toString", "constructor")), tie("value"), { maxKeys: 4 }),
    ),
  }));
  assert(
    property(value, (sent) => {
      expect(JSON.stringify(plainJson(sent, ""))).toBe(JSON.stringify(sent));
    }),
  );
});

it("writes dates, decimals of other libraries and absent members as JSON does", () => {
  const decimal = { toJSON: () => "12.50" };
  const sent = { at: new Date(0), decimal, absent: undefined, list: [1n, undefined] } satisfies object;
  // What has toJSON() is no type of payload, and is taken all the same.
  expect(plainJson(sent as unknown as Payload, "")).toEqual({
    at: "1970-01-01T00:00:00.000Z",
    decimal: "12.50",
    list: [1, null],
  });
});

it("refuses circles and what is too deep, with the place", () => {
  const circle: { self?: Payload } = {};
  circle.self = circle;
  expect(() => plainJson(circle, "/data")).toThrow(/deep, or a circle/);
  expect(() => plainJson(new Date(Number.NaN), "/data/at")).toThrow("/data/at is an invalid Date");
});
