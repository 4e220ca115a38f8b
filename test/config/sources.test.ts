import { describe, expect, it } from "vitest";

import { accepted, meter, printed, read } from "./reading.ts";

describe("JSON", () => {
  it("gives the same settings as YAML", () => {
    const text =
      '\uFEFF{"version": 1, "meters": {"a": {"aggregate": "sum", "value": "response.headers.X-Tokens-Used", "match": {"response.status": {"gte": 2e2}}}}}';
    expect(accepted(read(text, { format: "json" })).meters).toEqual(accepted(read(text.slice(1))).meters);
  });

  it.each([
    ['{\n  "version": 1,\n  "meters": {},\n}', "3:15  a comma stands before the end; JSON does not allow it"],
    [
      '{\n  "version": 1,\n  "meters": {"a": {"aggregate": "summ"}}\n}',
      '3:33  meters.a.aggregate: expected one of "count"|"sum"|"min"|"max"|"avg"|"unique"|"latest"  Did you mean "sum"?',
    ],
    ['{"version": 1, "version": 1, "meters": {}}', '1:16  the key "version" stands here for the second time'],
    ["{'version': 1}", '1:2  expected a key in double quotes or "}", found "\'"'],
    ['{"version": 1 // one\n}', '1:15  expected "," or "}", found "/" (JSON has no comments)'],
    ['{"version": 1', '1:14  the file ends here, where "," or "}" is expected'],
    ['{"version": 01}', '1:14  expected "," or "}", found "1"'],
    ['{"version": "1}', "1:13  the text in quotes does not end"],
    ['{"a": "\\x"}', "1:7  the text in quotes holds a line break or an unknown escape"],
    ["{} {}", "1:4  the file goes on after its value"],
    ["", "1:1  the file ends here, where a value is expected"],
    ['{"__proto__": {"a": 1}, "version": 1, "meters": {}}', '1:2  the key "__proto__" is not allowed'],
    ["[".repeat(100), "1:66  more than 64 maps or lists inside each other"],
    [
      '{"version": 1, "meters": {"a": {"aggregate": "count", "match": {"response.status": 9007199254740993}}}}',
      '1:84  meters.a.match["response.status"]: the number 9007199254740993 cannot be kept exactly; quote it: "9007199254740993"',
    ],
  ])("refuses %s", (text, expected) => {
    expect(printed(read(text, { format: "json" }))).toBe(`meterbook.yaml:${expected}`);
  });
});

describe("hostile YAML", () => {
  it("refuses an alias bomb at its last alias, and lets blocks be shared", () => {
    const bomb = [
      "a: &a [x,x,x,x,x,x,x,x,x]",
      ..."bcdefgh".split("").map(
        (name, i) =>
          `${name}: &${name} [${Array(9)
            .fill(`*${"abcdefg"[i] ?? ""}`)
            .join(",")}]`,
      ),
    ].join("\n");
    expect(printed(read(bomb))).toContain("aliases repeat more than 10000 values");
    const shared =
      "version: 1\nmeters:\n  a: { aggregate: count, match: &chat { request.route: /chat } }\n  b: { aggregate: count, match: *chat }\n";
    expect(accepted(read(shared)).meters[1]?.match).toEqual([{ path: "request.route", op: "eq", value: "/chat" }]);
  });

  it.each(["[".repeat(200_000), "{a: ".repeat(50_000), "- ".repeat(100_000), "? ".repeat(100_000)])(
    "refuses deep nesting without parsing it",
    (text) => {
      expect(printed(read(text))).toMatch(/^meterbook\.yaml:1:\d+ {2}more than 64 maps or lists inside each other$/);
    },
  );

  it("refuses keys that reach into prototypes and changes nothing", () => {
    const text =
      "version: 1\nmeters:\n  constructor: { aggregate: count }\n  __proto__: { polluted: true }\n  toString: { aggregate: count }\n";
    expect(printed(read(text)).split("\n")).toEqual([
      'meterbook.yaml:3:3  the key "constructor" is not allowed',
      'meterbook.yaml:4:3  the key "__proto__" is not allowed',
      expect.stringContaining("meterbook.yaml:5:3  meters.toString: a meter's key is made of"),
    ]);
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });

  it("refuses a text that is too long, a merge key and numbers that no double holds", () => {
    expect(printed(read("#".repeat(600_000)))).toContain("the file is longer than 524288 characters");
    expect(printed(read(meter("<<: { aggregate: count }\naggregate: count")))).toContain(
      'unknown key "<<" in meters.m.',
    );
    expect(printed(read(meter("aggregate: count\nmatch: { response.status: .nan }")))).toContain(
      "the number .nan cannot be kept exactly",
    );
  });
});
