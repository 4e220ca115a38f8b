import { array, assert, integer, property, tuple } from "fast-check";
import { describe, expect, it } from "vitest";

import { fromInteger, parseDecimal, type Decimal } from "../../../src/core/decimal.ts";
import { compareWithBooks, NO_FIGURE, sumOf } from "../../../src/engine/reconciliation/book-comparison.ts";
import { decimal } from "../world.ts";

const books = (text: string, isExact = true) => ({ value: decimal(text), isExact });
const ours = (...texts: readonly string[]) => sumOf(texts.map(decimal));

describe("our sum and the biller's", () => {
  it.each([
    ["the same", ["5", "7"], books("12"), "equal"],
    ["nothing and no figure", [], NO_FIGURE, "equal"],
    ["one less", ["5", "7"], books("11"), "missing"],
    ["one more", ["5", "7"], books("13"), "surplus"],
    ["no figure", ["5"], NO_FIGURE, "missing"],
    ["a negative sum that is not there", ["-5"], NO_FIGURE, "surplus"],
    ["one less just below 2^53", ["9007199254740991"], books("9007199254740990"), "missing"],
    ["the digits of a double's sum of fractions", ["0.1", "0.2"], books("0.3", false), "equal"],
    ["a fraction that is off by a double's noise", ["33.3", "33.3", "33.4"], books("100.000000000001", false), "equal"],
    ["a whole unit of fractions that is missing", ["0.1", "0.2"], books("0.2", true), "missing"],
    ["a part that is too small to show", ["1000000000", "0.000000000001"], books("1000000000"), "inexact"],
  ] as const)("%s", (_name, parts, theirs, verdict) => {
    expect(compareWithBooks(ours(...parts), theirs)).toBe(verdict);
  });

  // Figures come as JSON numbers, which are doubles: 2^53 + 1 has none of its own.
  it.each([
    ["9007199254740993", "9007199254740992", "inexact"],
    ["9007199254740992", "9007199254740992", "inexact"],
    ["9007199254740993", "9007199254740000", "missing"],
    ["9007199254740993", "9007199254742000", "surplus"],
  ])("ours %s, theirs %s: %s", (own, theirs, verdict) => {
    expect(compareWithBooks(ours(own), books(theirs, false))).toBe(verdict);
  });

  it("is never an alarm for a sum of doubles, in any order, and always one for a lost report of its size", () => {
    const value = tuple(integer({ min: -1_000_000_000, max: 1_000_000_000 }), integer({ min: 0, max: 999_999 }))
      .map(([whole, fraction]) => `${whole}.${String(fraction).padStart(6, "0")}`)
      .filter((text) => Math.abs(Number(text)) >= 1);
    assert(
      property(array(value, { minLength: 1, maxLength: 60 }), (texts) => {
        const parts = texts.map((text): Decimal => {
          const read = parseDecimal(text);
          return typeof read === "bigint" ? read : fromInteger(0);
        });
        const double = texts.reduce((sum, text) => sum + Number(text), 0);
        const theirs = parseDecimal(double.toFixed(12));
        if (typeof theirs !== "bigint") throw new Error("no number");
        const figure = { value: theirs, isExact: false };
        expect(["equal", "inexact"]).toContain(compareWithBooks(sumOf(parts), figure));
        const lost = { value: theirs - (parts[0] ?? 0n), isExact: false };
        expect(["missing", "surplus"]).toContain(compareWithBooks(sumOf(parts), lost));
      }),
    );
  });
});
