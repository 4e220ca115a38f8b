import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { addValue, emptyState, resultOf } from "../../src/core/aggregation.ts";
import {
  formatDecimal,
  isFault,
  multiply,
  parseDecimal,
  readDecimal,
  roundDecimal,
  type Decimal,
  type NumberFault,
} from "../../src/core/decimal.ts";
import { parseExactJson } from "../../src/core/exact-json.ts";
import { runningReport } from "../../src/core/usage-record.ts";

/** A number as its text, or the reason why there is none. */
function shown(value: Decimal | NumberFault): string {
  return isFault(value) ? value : formatDecimal(value);
}

function decimal(text: string): Decimal {
  const value = parseDecimal(text);
  if (isFault(value)) throw new Error(`${text}: ${value}`);
  return value;
}

function sum(values: readonly string[]): Decimal {
  let state = emptyState("sum");
  for (const [order, value] of values.entries()) state = addValue("sum", state, decimal(value), 0, order);
  return resultOf("sum", state) ?? 0n;
}

/** What a series of windows sends, in all, and what is carried. */
function reported(usage: readonly string[], fractionDigits: number) {
  let runningRaw = 0n;
  let runningValue = 0n;
  const reports = usage.map((text) => {
    const { value } = runningReport({ runningRaw, runningValue, delta: decimal(text), fractionDigits });
    runningRaw += decimal(text);
    runningValue += value;
    return formatDecimal(value);
  });
  return { reports, sent: formatDecimal(runningValue), carried: formatDecimal(runningRaw - runningValue) };
}

describe("sums", () => {
  test.each([
    ["tenths do not drift", ["0.1", "0.2"], "0.3"],
    ["a thousand tenths do not drift either", Array.from({ length: 1000 }, () => "0.1"), "100"],
    ["large and small keep each other", ["1e16", "1", "-1e16"], "1"],
    [
      "large and tiny keep each other",
      ["99999999999999999999999999", "0.000000000001"],
      "99999999999999999999999999.000000000001",
    ],
    [
      "the top of the range added to itself neither wraps nor rounds",
      ["99999999999999999999999999.999999999999", "99999999999999999999999999.999999999999"],
      "199999999999999999999999999.999999999998",
    ],
    ["a correction takes back exactly", ["0.3", "-0.1", "-0.2"], "0"],
    ["beyond 64 bits", ["9223372036854775807", "1"], "9223372036854775808"],
    ["beyond 2^53", ["9007199254740992", "1"], "9007199254740993"],
  ])("%s", (_, values, expected) => {
    expect(formatDecimal(sum(values))).toBe(expected);
  });
});

describe("texts that are no numbers", () => {
  const spellings = [
    "0x10",
    "0b11",
    "0o17",
    "+5",
    ".5",
    "5.",
    "007",
    "--1",
    "0.1.2",
    "1e",
    "١e3",
    "1e+",
    "e3",
    "1e1.5",
    "-",
    "-.5",
  ];
  const words = ["12abc", "abc", "NaN", "Infinity", "-Infinity", "inf", "nan", "null", "true", "undefined", "1n", "1f"];
  const separators = [
    "1,000",
    "1_000",
    "1 000",
    "1'000",
    "1.000,5",
    "1\u00a0000",
    "5, 7",
    "5,7",
    "5;7",
    "10%",
    "$5",
    "(5)",
  ];
  const digits = ["１２", "٥", "௧", "Ⅷ", "½", "²", "1２", "−5", "1e３"];
  const blanks = ["", " ", " 42 ", "42 ", "\t42", "42\n", "42\r\n", "\u00a042", "\ufeff42", "42\u0000", "4\u200b2"];
  test.each([...spellings, ...words, ...separators, ...digits, ...blanks])("%j", (text) => {
    expect(parseDecimal(text)).toBe("not_a_number");
    expect(readDecimal(text)).toBe("not_a_number");
    expect(readDecimal([text])).toBe("not_a_number");
  });

  test.each([
    [null],
    [undefined],
    [true],
    [false],
    [{}],
    [[]],
    [["5", "7"]],
    [{ value: 5 }],
    [Number.NaN],
    [Infinity],
    [-Infinity],
  ])("the value %o", (value) => {
    expect(readDecimal(value)).toBe("not_a_number");
  });
});

test("blanks around a header are taken off by HTTP itself, those in a JSON text are not", async () => {
  const server = createServer((request, response) => {
    const text = shown(readDecimal(request.headers["x-tokens"]));
    response.setHeader("Content-Length", text.length).end(text);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("the server has no port");
    const socket = connect(address.port, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nHost: a\r\nX-Tokens:   42  \r\nConnection: close\r\n\r\n");
    let answer = "";
    for await (const chunk of socket) answer += String(chunk);
    expect(answer).toMatch(/\r\n\r\n42$/);
  } finally {
    server.close();
  }
  expect(readDecimal(parseExactJson('" 42 "'))).toBe("not_a_number");
});

describe("numbers in a JSON body", () => {
  test.each([
    ["9007199254740993", "9007199254740993"],
    ["9007199254740992", "9007199254740992"],
    ["-9007199254740993", "-9007199254740993"],
    ["9007199254740991", "9007199254740991"],
    ["12345678901234567890", "12345678901234567890"],
    ["0.1", "0.1"],
    ["0.30000000000000004", "too_many_fraction_digits"],
    ["1234567890.123456789", "1234567890.123456789"],
    ["1e3", "1000"],
    ["1e22", "10000000000000000000000"],
    ["1e400", "out_of_range"],
    ["1e-400", "too_many_fraction_digits"],
    ["-0", "0"],
    ["-0.0", "0"],
    ['"120"', "120"],
    ['"９"', "not_a_number"],
    ["null", "not_a_number"],
    ["true", "not_a_number"],
    ["{}", "not_a_number"],
  ])("%s", (literal, expected) => {
    const body = parseExactJson(`{"tokens":${literal}}`);
    expect(shown(readDecimal(Object.entries(body ?? {})[0]?.[1]))).toBe(expected);
  });
});

describe("exponents, scale and range", () => {
  test.each([
    ["1e3", "1000"],
    ["1.5E2", "150"],
    ["1e-12", "0.000000000001"],
    ["1e-13", "too_many_fraction_digits"],
    ["1e400", "out_of_range"],
    ["1e999999999", "out_of_range"],
    ["1e-999999999", "too_many_fraction_digits"],
    ["0e999999999", "0"],
    ["0.123456789012", "0.123456789012"],
    ["0.1234567890123", "too_many_fraction_digits"],
    ["0.1234567890120", "0.123456789012"],
    ["1.0000000000000", "1"],
    ["-0", "0"],
    ["-0.000", "0"],
    ["-1e-12", "-0.000000000001"],
    ["99999999999999999999999999.999999999999", "99999999999999999999999999.999999999999"],
    ["100000000000000000000000000", "out_of_range"],
  ])("%s is %s", (text, expected) => {
    expect(shown(parseDecimal(text))).toBe(expected);
  });

  test.each([
    ["nines", "9".repeat(100_000), "out_of_range"],
    ["zeros of a fraction", `0.${"0".repeat(100_000)}`, "0"],
    ["zeros of a fraction before a 1", `0.${"0".repeat(100_000)}1`, "too_many_fraction_digits"],
    ["nines of an exponent", `1e${"9".repeat(100_000)}`, "out_of_range"],
  ])("a hundred thousand %s", (_what, text, expected) => {
    expect(shown(parseDecimal(text))).toBe(expected);
  });
});

test.each([
  ["1.1", "3", "3.3"],
  ["4.35", "100", "435"],
  ["0.07", "100", "7"],
  ["1.005", "1000", "1005"],
  ["-0.1", "0.2", "-0.02"],
  ["0", "-5", "0"],
  ["0.000001", "0.000001", "0.000000000001"],
  ["0.0000001", "0.000001", "too_many_fraction_digits"],
  ["99999999999999999999999999", "99999999999999999999999999", "9999999999999999999999999800000000000000000000000001"],
])("%s times %s is %s", (a, b, expected) => {
  expect(shown(multiply(decimal(a), decimal(b)))).toBe(expected);
});

describe("rounding", () => {
  test.each([
    ["1.005", 2, "1.01", "1", "1", "1.01"],
    ["2.675", 2, "2.68", "2.68", "2.67", "2.68"],
    ["1.015", 2, "1.02", "1.02", "1.01", "1.02"],
    ["8.345", 2, "8.35", "8.34", "8.34", "8.35"],
    ["0.5", 0, "1", "0", "0", "1"],
    ["1.5", 0, "2", "2", "1", "2"],
    ["2.5", 0, "3", "2", "2", "3"],
    ["-0.5", 0, "-1", "0", "-1", "0"],
    ["-1.5", 0, "-2", "-2", "-2", "-1"],
    ["-2.5", 0, "-3", "-2", "-3", "-2"],
    ["-0.4", 0, "0", "0", "-1", "0"],
    ["-1.005", 2, "-1.01", "-1", "-1.01", "-1"],
    ["0.499999999999", 0, "0", "0", "0", "1"],
    ["0.500000000001", 0, "1", "1", "0", "1"],
    ["-5.7", 0, "-6", "-6", "-6", "-5"],
    ["9007199254740993.5", 0, "9007199254740994", "9007199254740994", "9007199254740993", "9007199254740994"],
  ])("%s at %i digits: half up %s, half even %s, floor %s, ceil %s", (text, digits, ...expected) => {
    const modes = ["half_up", "half_even", "floor", "ceil"] as const;
    expect(modes.map((mode) => formatDecimal(roundDecimal(decimal(text), digits, mode)))).toEqual(expected);
  });

  test("once, at the end: a thousand parts of 0.4 are 400, in one window or in a thousand", () => {
    const parts = Array.from({ length: 1000 }, () => "0.4");
    expect(formatDecimal(sum(parts))).toBe("400");
    expect(reported([formatDecimal(sum(parts))], 0).sent).toBe("400");
    expect(reported(parts, 0)).toMatchObject({ sent: "400", carried: "0" });
  });

  test.each([
    [["10.4", "10.4", "10.4"], 0, ["10", "10", "11"], "31", "0.2"],
    [["10.4", "-5.7"], 0, ["10", "-6"], "4", "0.7"],
    [["-0.5", "-0.5"], 0, ["-1", "0"], "-1", "0"],
    [["0.004", "0.004", "0.004"], 2, ["0", "0", "0.01"], "0.01", "0.002"],
    [["0", "0"], 0, ["0", "0"], "0", "0"],
  ])("reports of %o at %i digits carry the rest", (usage, digits, reports, sent, carried) => {
    expect(reported(usage, digits)).toEqual({ reports, sent, carried });
  });
});
