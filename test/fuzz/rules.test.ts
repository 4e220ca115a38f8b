import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { parseDuration } from "../../src/config/duration.ts";
import { formatDecimal, isFault, parseDecimal, readDecimal } from "../../src/core/decimal.ts";
import { compileExpression } from "../../src/core/expression.ts";
import { compilePath } from "../../src/core/field-path.ts";
import { matchesGlob } from "../../src/core/glob.ts";
import { parseExactJson } from "../../src/core/exact-json.ts";
import { compileRegex } from "../../src/core/regex.ts";
import { answers, counterexample, fuzzed, NAMES, sentences } from "./hostile-input.ts";

const EVENT: object = JSON.parse(
  '{"source":"s","id":"1","type":"http.request","company":"acme","request":{"method":"POST","path":"/a","headers":{"x-y":["1","2"],"__proto__":"7"},"body":{"a":[{"b":1},{"b":"2"}],"__proto__":{"b":3}}},"response":{"status":200},"metadata":{"a":null}}',
);

const PATH_WORDS = [...NAMES, ".", "..", "[", "]", "[0]", "[-1]", '["', '"]', "\\", "$", "*", "'", ",", ":", "@", "?("];
const CEL_WORDS = `( ) [ ] { } . , ? : && || ! == < + - * / % // 1 1.5 9007199254740993 'x' " r' b' true null 1u -0x7f
  number( like( re2_matches( matches( size( map(e,e) filter(e,e>1) all( duration( request.body.a response.status company
  metadata`
  .split(/\s+/)
  .concat(NAMES, " in ", "\n");
const REGEX_WORDS = [
  "a",
  "(",
  ")",
  "[",
  "]",
  "+",
  "*",
  "?",
  "{2}",
  "{1,999}",
  "|",
  "^",
  "$",
  ".",
  "\\1",
  "(?=",
  "(?i)",
];

describe("no text in a configuration's rules breaks or hangs", () => {
  it("as a field path or a JSONPath, over an event", () => {
    expect(
      counterexample(
        fc.property(sentences(PATH_WORDS), fc.boolean(), (text, isJsonPath) => {
          const path = isJsonPath ? `$.${text}` : text;
          answers(() => compilePath(path).read(EVENT));
        }),
        fuzzed(3_000),
      ),
    ).toBeNull();
    expect(Reflect.has({}, "b")).toBe(false);
  });

  it("as an expression of CEL, over an event", () => {
    expect(
      counterexample(
        fc.property(sentences(CEL_WORDS, 25), (text) => {
          answers(() => compileExpression(text).evaluate(EVENT));
        }),
        fuzzed(2_000),
      ),
    ).toBeNull();
  });

  it("as a regular expression, over a text that makes others run for ever", () => {
    // Linear in the text, and in what the pattern repeats: a text of a thousand letters is a long header.
    const evil = `${"a".repeat(1_000)}!`;
    expect(
      counterexample(
        fc.property(sentences(REGEX_WORDS, 15), (pattern) => {
          answers(() => compileRegex(pattern)(pattern.length < 200 ? evil : "a"));
        }),
        fuzzed(800),
      ),
    ).toBeNull();
  });

  it("as a glob, over texts that repeat", () => {
    const glob = sentences(["*", "**", "?", "a", "/", "[", "]", "!", "\\", "{a,b}"]);
    expect(
      counterexample(
        fc.property(glob, fc.constantFrom("a".repeat(5_000), "a/".repeat(2_000), "/a/b"), (pattern, text) => {
          answers(() => matchesGlob(pattern, text));
        }),
        fuzzed(2_000),
      ),
    ).toBeNull();
  });

  it("as a duration", () => {
    expect(
      counterexample(
        fc.property(sentences(["1", "9", ".", "h", "d", "ms", "month", " ", "-", "e", "PT"]), (text) => {
          answers(() => parseDuration(text));
        }),
        fuzzed(2_000),
      ),
    ).toBeNull();
  });
});

describe("no text of a client breaks or hangs", () => {
  const digits = sentences([
    "0",
    "1",
    "9",
    "00000000",
    ".",
    "-",
    "+",
    "e",
    "E",
    "e400",
    "_",
    " ",
    "\u0661",
    "Infinity",
  ]);

  it("as a number: a decimal that reads back, or a reason", () => {
    expect(
      counterexample(
        fc.property(digits, (text) => {
          answers(() => {
            const value = parseDecimal(text);
            expect(isFault(value) || parseDecimal(formatDecimal(value)) === value).toBe(true);
          });
        }),
        fuzzed(4_000),
      ),
    ).toBeNull();
    expect(
      counterexample(
        fc.property(fc.anything({ withBigInt: true, withNullPrototype: true }), (value) => {
          answers(() => readDecimal(value));
        }),
        fuzzed(1_000),
      ),
    ).toBeNull();
  });

  it("as JSON: what JSON.parse takes is taken, and what it refuses is refused", () => {
    const json = sentences([
      '{"',
      '":',
      "}",
      "[",
      "]",
      ",",
      '"',
      "\\",
      "1",
      "9007199254740993",
      "1e400",
      "-",
      "null",
      " ",
    ]);
    expect(
      counterexample(
        fc.property(fc.oneof(json, fc.json({ maxDepth: 4 }), digits), (text) => {
          answers(
            () => expect(isRefused(() => parseExactJson(text))).toBe(isRefused(() => JSON.parse(text))),
            isSyntax,
          );
        }),
        fuzzed(4_000),
      ),
    ).toBeNull();
    for (const deep of ["[".repeat(100_000), `${"[".repeat(20_000)}1e400${"]".repeat(20_000)}`])
      answers(() => parseExactJson(deep), isSyntax);
  });
});

const isSyntax = (error: unknown): boolean => error instanceof SyntaxError;

function isRefused(parse: () => unknown): boolean {
  try {
    parse();
    return false;
  } catch (error) {
    if (error instanceof SyntaxError) return true;
    throw error;
  }
}
