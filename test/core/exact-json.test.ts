import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseDecimal, readDecimal } from "../../src/core/decimal.ts";
import type { Json } from "../../src/core/event.ts";
import { parseExactJson } from "../../src/core/exact-json.ts";

/** JSON as text, beside the literals of its numbers in the order of the text. */
interface Sample {
  readonly text: string;
  readonly literals: readonly string[];
}

const literals = fc
  .tuple(
    fc.constantFrom("", "-"),
    fc.oneof(fc.stringMatching(/^[1-9][0-9]{0,29}$/), fc.constantFrom("0", "9007199254740991", "9007199254740993")),
    fc.oneof(fc.constant(""), fc.stringMatching(/^\.[0-9]{1,20}$/)),
    fc.oneof(
      { weight: 4, arbitrary: fc.constant("") },
      { weight: 1, arbitrary: fc.stringMatching(/^[eE][-+]?[0-9]{1,3}$/) },
    ),
  )
  .map((parts) => parts.join(""));
const texts = fc.oneof(
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.constantFrom("12345678901234567890", '"1e400"', "\\", '\\"1e400', "__proto__", "1e5"),
);
const samples: fc.Arbitrary<Sample> = fc.letrec<{ value: Sample }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    literals.map((literal) => ({ text: literal, literals: [literal] })),
    texts.map((text) => ({ text: JSON.stringify(text), literals: [] })),
    fc.constantFrom("true", "false", "null").map((text) => ({ text, literals: [] })),
    fc.array(tie("value"), { maxLength: 4 }).map((items) => joined("[", items, "]")),
    fc
      .uniqueArray(fc.tuple(texts, tie("value")), { maxLength: 4, selector: ([key]) => key })
      // Keys that look like array indexes would be listed first by JavaScript.
      .map((entries) =>
        joined(
          "{",
          entries.map(([key, { text, literals: inner }]) => ({
            text: `${JSON.stringify(`k${key}`)}: ${text}`,
            literals: inner,
          })),
          "}",
        ),
      ),
  ),
})).value;

describe("parseExactJson", () => {
  test("every number reads exactly as its literal does", () => {
    fc.assert(
      fc.property(samples, ({ text, literals: expected }) => {
        const plain: Json = JSON.parse(text);
        // Node 24.21 at times loses a member whose key is written with escapes, in JSON.parse itself.
        fc.pre(leaves(plain, plain).length === expected.length);
        const numbers = leaves(parseExactJson(text), plain);
        expect(numbers.length).toBe(expected.length);
        for (const [at, literal] of expected.entries()) {
          const found = numbers[at];
          expect(readDecimal(found)).toBe(parseDecimal(literal));
          expect(typeof found === "number" || found === literal).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("everything but such numbers is as JSON.parse gives it", () => {
    fc.assert(
      fc.property(fc.json({ noUnicodeString: false }), (text) => {
        const plain: Json = JSON.parse(text);
        const exact = parseExactJson(text);
        const kinds = leaves(exact, plain).map((number) => typeof number);
        expect(kinds.every((kind) => kind === "number" || kind === "string")).toBe(true);
      }),
    );
  });

  test("a text is refused exactly when JSON.parse refuses it", () => {
    const broken = fc
      .tuple(samples, fc.nat(), fc.constantFrom("", "1", ",", '"', "}", "e", "12345678901234567890", "\\"))
      .map(([{ text }, at, piece]) => {
        const cut = at % (text.length + 1);
        return text.slice(0, cut) + piece + text.slice(cut + 1);
      });
    fc.assert(
      fc.property(broken, (text) => {
        expect(fails(() => parseExactJson(text))).toBe(fails(() => JSON.parse(text)));
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ['{"tokens":9007199254740993}', { tokens: "9007199254740993" }],
    ['{"tokens":9007199254740991}', { tokens: 9007199254740991 }],
    ['{"tokens":-9007199254740993}', { tokens: "-9007199254740993" }],
    ["[0.1,0.30000000000000001,1234.567890123456]", [0.1, "0.30000000000000001", "1234.567890123456"]],
    ["[1e3,1E+2,1e-7,2.5e-1]", [1000, 100, 1e-7, 0.25]],
    ["[1e400,1e-400,-1e400]", ["1e400", "1e-400", "-1e400"]],
    ["3.141592653589793", 3.141592653589793],
    ["0.12345678901234567891", "0.12345678901234567891"],
    ["1e300", "1e300"],
    ["12345678901234567890", "12345678901234567890"],
    [' [ 12345678901234567890 , "12345678901234567890" ] ', ["12345678901234567890", "12345678901234567890"]],
    ['{"\\"1":"\\\\","b":1e999}', { '"1': "\\", b: "1e999" }],
    ['{"12345678901234567890":1}', { "12345678901234567890": 1 }],
    // What a double holds stays a number, whatever stands beside it.
    ["[0.0000000000001,1234567890.12345,1e400]", [1e-13, 1234567890.12345, "1e400"]],
    ["-0", -0],
    ["0e-999", 0],
  ])("%s", (text, expected) => {
    expect(parseExactJson(text)).toEqual(expected);
  });

  test.each([
    "",
    "{12345678901234567890:1}",
    "[12345678901234567890",
    "01234567890123456",
    "1e",
    "NaN",
    "12345678901234567.e5",
  ])("%j is a SyntaxError", (text) => {
    expect(() => parseExactJson(text)).toThrow(SyntaxError);
  });

  test.each(['{"__proto__":{"polluted":1}}', '{"__proto__":{"polluted":12345678901234567890}}'])(
    "%s makes an own property and leaves every other object alone",
    (text) => {
      const parsed = parseExactJson(text);
      expect(Object.keys(parsed ?? {})).toEqual(["__proto__"]);
      expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype);
      expect("polluted" in {}).toBe(false);
    },
  );

  test("a body full of strings and long numbers is read in linear time", () => {
    const escapes = '\\\\\\"1e5'.repeat(100_000);
    const text = `{"a":"${escapes}","b":[${"12345678901234567890,".repeat(50_000)}1]}`;
    const started = performance.now();
    const [a, b] = entriesOf(parseExactJson(text)).map(([, value]) => value);
    expect(a).toBe('\\"1e5'.repeat(100_000));
    expect(b).toEqual([...Array.from({ length: 50_000 }, () => "12345678901234567890"), 1]);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

function joined(open: string, parts: readonly Sample[], close: string): Sample {
  return {
    text: open + parts.map((part) => part.text).join(", ") + close,
    literals: parts.flatMap((part) => part.literals),
  };
}

/** The leaves where plain JSON.parse has a number; throws when the trees differ elsewhere. */
function leaves(exact: Json, plain: Json): Json[] {
  if (typeof plain === "number") return [exact];
  if (typeof plain !== "object" || plain === null) {
    if (exact !== plain) throw new Error(`${JSON.stringify(plain)} became ${JSON.stringify(exact)}`);
    return [];
  }
  if (Array.isArray(exact) !== Array.isArray(plain)) throw new Error(`${JSON.stringify(exact)} is of another kind`);
  const ours = entriesOf(exact);
  const theirs = entriesOf(plain);
  if (ours.some(([key], at) => key !== theirs[at]?.[0])) throw new Error(`keys differ in ${JSON.stringify(exact)}`);
  return theirs.flatMap(([, value], at) => leaves(ours[at]?.[1] ?? null, value));
}

function entriesOf(json: Json): [string, Json][] {
  return typeof json === "object" && json !== null ? Object.entries<Json>(json) : [];
}

function fails(parse: () => unknown): boolean {
  try {
    parse();
    return false;
  } catch (error) {
    return error instanceof SyntaxError;
  }
}
