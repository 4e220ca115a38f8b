import { Big } from "big.js";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  divide,
  formatDecimal,
  fromInteger,
  isFault,
  multiply,
  parseDecimal,
  readDecimal,
  roundDecimal,
  significantDigits,
  type Decimal,
  type Rounding,
} from "../../src/core/decimal.ts";

const LIMIT = 10n ** 38n - 1n;
const decimals = fc.oneof(
  fc.bigInt(-LIMIT, LIMIT),
  fc.bigInt(-(10n ** 15n), 10n ** 15n),
  fc.bigInt(-1000n, 1000n).map((integer) => integer * 10n ** 12n),
);
const digits = (max: number) => fc.stringMatching(new RegExp(`^[0-9]{1,${max}}$`));
const literals = fc
  .record({
    sign: fc.constantFrom("", "-"),
    integer: fc.oneof(digits(30), fc.constant("0")).map((text) => text.replace(/^0+(?=.)/, "")),
    fraction: fc.option(digits(16), { nil: null }),
    exponent: fc.option(fc.tuple(fc.constantFrom("e", "E", "e+", "e-"), fc.nat(40)), { nil: null }),
  })
  .map(
    ({ sign, integer, fraction, exponent }) =>
      sign + integer + (fraction === null ? "" : `.${fraction}`) + (exponent === null ? "" : exponent.join("")),
  );

function big(value: Decimal): Big {
  return new Big(`${value}e-12`);
}

function parsed(text: string): Decimal {
  const value = parseDecimal(text);
  if (isFault(value)) throw new Error(`${text}: ${value}`);
  return value;
}

function oracle(text: string): string {
  const { c, e } = new Big(text);
  if (c[0] === 0) return "0";
  if (e + 1 > 26) return "out_of_range";
  if (c.length - 1 - e > 12) return "too_many_fraction_digits";
  return new Big(text).toFixed();
}

describe("parseDecimal", () => {
  test("agrees with big.js on every text of the grammar", () => {
    fc.assert(
      fc.property(literals, (text) => {
        const value = parseDecimal(text);
        expect(isFault(value) ? value : formatDecimal(value)).toBe(oracle(text));
      }),
      { numRuns: 2000 },
    );
  });

  test("takes exactly the texts that JSON takes as a number", () => {
    const texts = fc.stringMatching(/^[-+.eE0-9 _xn]{0,7}$/);
    fc.assert(
      fc.property(texts, (text) => {
        expect(parseDecimal(text) !== "not_a_number").toBe(isJsonNumber(text));
      }),
      { numRuns: 5000 },
    );
  });

  test("reads back what formatDecimal writes, for whatever is in range", () => {
    fc.assert(
      fc.property(decimals, (value) => {
        expect(parseDecimal(formatDecimal(value))).toBe(value);
      }),
    );
  });

  test.each([
    ["99999999999999999999999999.999999999999", 10n ** 38n - 1n],
    ["-99999999999999999999999999.999999999999", 1n - 10n ** 38n],
    ["99999999999999999999999999e0", (10n ** 26n - 1n) * 10n ** 12n],
    ["100000000000000000000000000", "out_of_range"],
    ["-1e26", "out_of_range"],
    ["1e25", 10n ** 37n],
    ["0.000000000001", 1n],
    ["1.0000000000000", 10n ** 12n],
    ["1000e-15", 1n],
    ["0.0000000000001e1", 1n],
    ["-0", 0n],
    ["-0.0e-0", 0n],
    ["0e999999999", 0n],
    ["0e-999999999", 0n],
    ["1e999999999", "out_of_range"],
    ["1e-999999999", "too_many_fraction_digits"],
    ["1e99999999999999999999999999999999", "out_of_range"],
    ["1e00000000000000000000000000000001", 10n ** 13n],
    ["999999999999999", 999999999999999n * 10n ** 12n],
    ["00", "not_a_number"],
    ["5\n", "not_a_number"],
    ["\uFEFF5", "not_a_number"],
  ] as const)("%j is %s", (text, expected) => {
    expect(parseDecimal(text)).toBe(expected);
  });

  test("a megabyte of digits is answered in linear time and without a number of that size", () => {
    const many = "9".repeat(1_000_000);
    const zeros = "0".repeat(1_000_000);
    const started = performance.now();
    expect(parseDecimal(many)).toBe("out_of_range");
    expect(parseDecimal(`0.${many}`)).toBe("too_many_fraction_digits");
    expect(parseDecimal(`1e${many}`)).toBe("out_of_range");
    expect(parseDecimal(`1e-${many}`)).toBe("too_many_fraction_digits");
    expect(parseDecimal(`1.${zeros}`)).toBe(10n ** 12n);
    expect(parseDecimal(`0.${zeros}1e1000001`)).toBe(10n ** 12n);
    expect(parseDecimal(`1${zeros}e-1000000`)).toBe(10n ** 12n);
    expect(parseDecimal(`${many}x`)).toBe("not_a_number");
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe("readDecimal", () => {
  test.each([
    [120, "120"],
    [-0, "0"],
    [0.1, "0.1"],
    [1e-7, "0.0000001"],
    [-12.5, "-12.5"],
    [Number.MAX_SAFE_INTEGER, "9007199254740991"],
    [Number.MIN_SAFE_INTEGER, "-9007199254740991"],
    [99999999999.9999, "99999999999.9999"],
    [12345678901.2345, "12345678901.2345"],
    ["12.50", "12.5"],
    [["42"], "42"],
    [[42], "42"],
    [9007199254740993n, "9007199254740993"],
    [10n ** 26n - 1n, "99999999999999999999999999"],
  ])("case %# counts as $1", (value, expected) => {
    const read = readDecimal(value);
    expect(isFault(read) ? read : formatDecimal(read)).toBe(expected);
  });

  test.each([
    [2 ** 53, "unsafe_integer"],
    [-(2 ** 53), "unsafe_integer"],
    [1e300, "unsafe_integer"],
    [1234567.8901234567, "unsafe_integer"],
    [0.1 + 0.2, "too_many_fraction_digits"],
    [1e-13, "too_many_fraction_digits"],
    [Number.NaN, "not_a_number"],
    [Number.POSITIVE_INFINITY, "not_a_number"],
    [10n ** 26n, "out_of_range"],
    [null, "not_a_number"],
    [undefined, "not_a_number"],
    [true, "not_a_number"],
    [{}, "not_a_number"],
    [{ valueOf: () => 5 }, "not_a_number"],
    [[], "not_a_number"],
    [["5", "7"], "not_a_number"],
    [[["5"]], "not_a_number"],
    [new Date(0), "not_a_number"],
    [Symbol("5"), "not_a_number"],
  ])("case %# is held as %s", (value, expected) => {
    expect(readDecimal(value)).toBe(expected);
  });

  test("a double counts exactly as its literal of at most 15 digits would, or not at all", () => {
    // Longer literals are rounded before we see the double: parseExactJson() is the remedy.
    const short = literals.filter((text) => text.replace(/[eE].*/, "").replaceAll(/[-.]/g, "").length <= 15);
    fc.assert(
      fc.property(short, (text) => {
        const read = readDecimal(Number(text));
        expect([parseDecimal(text), "unsafe_integer", "not_a_number"]).toContain(read);
        expect(isFault(read) && !isFault(parseDecimal(text)) && Math.abs(Number(text)) < 2 ** 53).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("formatDecimal", () => {
  test("is the plain notation of big.js", () => {
    fc.assert(
      fc.property(decimals, (value) => {
        expect(formatDecimal(value)).toBe(big(value).toFixed());
      }),
    );
  });

  test.each([
    [0n, "0"],
    [-1n, "-0.000000000001"],
    [-(5n * 10n ** 11n), "-0.5"],
    [10n ** 12n, "1"],
    [10n ** 36n, "1000000000000000000000000"],
    [3n * 10n ** 11n, "0.3"],
  ])("%s is %s", (value, text) => {
    expect(formatDecimal(value)).toBe(text);
  });
});

describe("arithmetic", () => {
  test("sums equal those of big.js", () => {
    fc.assert(
      fc.property(decimals, decimals, (a, b) => {
        expect(formatDecimal(a + b)).toBe(plain(big(a).plus(big(b))));
      }),
    );
  });

  test("a product is exact or a fault", () => {
    const short = fc
      .tuple(fc.bigInt(-(10n ** 9n), 10n ** 9n), fc.nat(12))
      .map(([value, zeros]) => value * 10n ** BigInt(zeros));
    fc.assert(
      fc.property(fc.oneof(short, decimals), fc.oneof(short, decimals), (a, b) => {
        const exact = big(a).times(big(b));
        const product = multiply(a, b);
        const fits = exact.round(12, Big.roundDown).eq(exact);
        expect(isFault(product) ? product : formatDecimal(product)).toBe(
          fits ? exact.toFixed() : "too_many_fraction_digits",
        );
      }),
      { numRuns: 1000 },
    );
  });

  test("rounding equals that of big.js in every mode", () => {
    fc.assert(
      fc.property(decimals, fc.integer({ min: 0, max: 14 }), modes(), (value, places, mode) => {
        expect(formatDecimal(roundDecimal(value, places, mode))).toBe(plain(rounded(big(value), places, mode)));
      }),
      { numRuns: 2000 },
    );
  });

  test("ties are rounded as their mode says", () => {
    fc.assert(
      fc.property(
        fc.bigInt(-(10n ** 6n), 10n ** 6n),
        fc.integer({ min: 0, max: 11 }),
        modes(),
        (steps, places, mode) => {
          const half = 5n * 10n ** BigInt(11 - places);
          const value = steps * 2n * half + half;
          expect(formatDecimal(roundDecimal(value, places, mode))).toBe(plain(rounded(big(value), places, mode)));
        },
      ),
    );
  });

  test("a quotient is rounded once, at the 12th digit", () => {
    const divisors = decimals.filter((value) => value !== 0n);
    fc.assert(
      fc.property(decimals, divisors, modes(), (a, b, mode) => {
        const quotient = divide(a, b, mode);
        // The defining inequality, in exact products: the quotient is one of the two neighbours, the one the mode wants.
        const error = big(a).minus(big(quotient).times(big(b)));
        const unit = big(b).times("1e-12");
        const distance = error.div(unit);
        expect(error.abs().lt(unit.abs())).toBe(true);
        const isNearest = error.abs().times(2).lte(unit.abs());
        const holds = { floor: distance.gte(0), ceil: distance.lte(0), half_up: isNearest, half_even: isNearest };
        expect(holds[mode]).toBe(true);
      }),
    );
  });

  test.each([
    ["1", "3", "half_even", "0.333333333333"],
    ["2", "3", "half_even", "0.666666666667"],
    ["-2", "3", "floor", "-0.666666666667"],
    ["2", "-3", "ceil", "-0.666666666666"],
    ["0.000000000001", "2", "half_even", "0"],
    ["0.000000000003", "2", "half_even", "0.000000000002"],
    ["-0.000000000001", "2", "half_up", "-0.000000000001"],
  ] as const)("%s / %s by %s is %s", (a, b, mode, expected) => {
    expect(formatDecimal(divide(parsed(a), parsed(b), mode))).toBe(expected);
  });

  test("a division by zero and an unsafe whole number are refused", () => {
    expect(() => divide(1n, 0n, "floor")).toThrow(RangeError);
    expect(() => fromInteger(2 ** 53)).toThrow(RangeError);
    expect(() => fromInteger(0.5)).toThrow(new RangeError("expected a safe integer, received 0.5"));
    expect(formatDecimal(fromInteger(-7))).toBe("-7");
    expect(formatDecimal(fromInteger(2n ** 64n))).toBe("18446744073709551616");
  });

  test.each([
    ["0", 0],
    ["0.000000000001", 1],
    ["-120", 3],
    ["1000000", 7],
    ["10.01", 4],
    ["1.50", 2],
  ])("%s has %i significant digits", (text, count) => {
    expect(significantDigits(parsed(text))).toBe(count);
  });
});

function modes() {
  return fc.constantFrom<Rounding>("floor", "ceil", "half_up", "half_even");
}

function rounded(value: Big, places: number, mode: Rounding): Big {
  switch (mode) {
    case "floor":
      return value.round(places, value.lt(0) ? Big.roundUp : Big.roundDown);
    case "ceil":
      return value.round(places, value.lt(0) ? Big.roundDown : Big.roundUp);
    case "half_up":
      return value.round(places, Big.roundHalfUp);
    case "half_even":
      return value.round(places, Big.roundHalfEven);
    default:
      throw new Error(`no such mode: ${String(mode)}`);
  }
}

/** big.js keeps the sign of a zero. */
function plain(value: Big): string {
  return value.eq(0) ? "0" : value.toFixed();
}

function isJsonNumber(text: string): boolean {
  // JSON.parse lets blanks stand around a value; the grammar of the number itself does not.
  if (text.includes(" ")) return false;
  try {
    return typeof JSON.parse(text) === "number";
  } catch {
    return false;
  }
}
