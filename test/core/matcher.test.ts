import { describe, expect, test } from "vitest";
import { compileCatalog } from "../../src/core/catalog.ts";
import { fromInteger, parseDecimal } from "../../src/core/decimal.ts";
import type { HoldReason, Json, UsageEvent } from "../../src/core/event.ts";
import { parseExactJson } from "../../src/core/exact-json.ts";
import type { MeterDefinition } from "../../src/core/meter.ts";
import type { Verdict } from "../../src/core/verdict.ts";
import { chatEvent, firstVersion, tokenMeter } from "./match-fixtures.ts";

/** The single verdict of a single meter, which judge() and explain() must agree on. */
function verdictOf(
  definition: MeterDefinition,
  event: UsageEvent,
  options: { fields?: Record<string, string>; unknownIdentity?: "hold" | "drop" } = {},
): Verdict {
  const catalog = compileCatalog({
    versions: [firstVersion(definition)],
    fields: options.fields ?? {},
    unknownIdentity: options.unknownIdentity ?? "hold",
  });
  const explained = catalog.explain(event);
  expect(explained).toHaveLength(1);
  expect(catalog.judge(event)).toEqual(explained.filter((verdict) => verdict.kind !== "skipped"));
  const [verdict] = explained;
  if (verdict === undefined) throw new Error("no verdict");
  return verdict;
}

function held(reason: HoldReason, detail: string, value: bigint | null = null): Verdict {
  return { kind: "held", meter: "chat_tokens", version: 1, reason, detail, value, group: "{}" };
}

function withHeader(value: string | readonly string[]): UsageEvent {
  return chatEvent({ response: { status: 200, headers: { "x-tokens-used": value } } });
}

const bodyMeter = tokenMeter({ value: "request.body.tokens" });

function withBody(tokens: Json): UsageEvent {
  return chatEvent({ request: { route: "/chat", body: { tokens } } });
}

describe("the tutorial's meter", () => {
  test("counts the header's value", () => {
    expect(verdictOf(tokenMeter(), chatEvent())).toEqual({
      kind: "counted",
      meter: "chat_tokens",
      version: 1,
      value: fromInteger(120),
      group: "{}",
    });
  });

  test("a count counts one, without a value", () => {
    const meter = tokenMeter({ aggregate: "count", value: null });
    expect(verdictOf(meter, chatEvent({ response: { status: 200 } }))).toMatchObject({ value: fromInteger(1) });
  });

  test("skips other types, routes and statuses, in that order, and names the first failing line", () => {
    const reasons = [
      chatEvent({ type: "job", request: { route: "/x" } }),
      chatEvent({ request: { route: "/health" }, response: { status: 429 } }),
      chatEvent({ response: { status: 429 } }),
    ].map((event) => verdictOf(tokenMeter(), event));
    expect(reasons.map((verdict) => verdict.kind === "skipped" && verdict.reason)).toEqual([
      'type is "job", wants "http.request"',
      'request.route is "/health", wants "/chat"',
      "response.status is 429, wants 200",
    ]);
  });

  test("a meter of any type takes every type", () => {
    const meter = tokenMeter({ eventType: null, match: [], value: "metadata.n" });
    expect(verdictOf(meter, chatEvent({ type: "job", metadata: { n: 3 } }))).toMatchObject({ value: fromInteger(3) });
  });

  test("parts of an and are lines of their own", () => {
    const meter = tokenMeter({ match: [{ and: tokenMeter().match }] });
    expect(verdictOf(meter, chatEvent({ response: { status: 500 } }))).toMatchObject({
      reason: "response.status is 500, wants 200",
    });
  });
});

describe("values", () => {
  test.each<[string | string[], HoldReason, string]>([
    ["12abc", "not_a_number", 'response.headers.X-Tokens-Used is "12abc", which is not a number'],
    ["", "not_a_number", 'response.headers.X-Tokens-Used is "", which is not a number'],
    ["0x10", "not_a_number", 'response.headers.X-Tokens-Used is "0x10", which is not a number'],
    [
      "0.1234567890123",
      "too_many_fraction_digits",
      'response.headers.X-Tokens-Used is "0.1234567890123", which has more than 12 fraction digits',
    ],
    ["1e400", "out_of_range", 'response.headers.X-Tokens-Used is "1e400", which is out of range'],
    ["-5", "negative_value", "response.headers.X-Tokens-Used is -5, and negative values need allowNegative"],
    [["5", "7"], "ambiguous_header", 'response.headers.X-Tokens-Used was sent 2 times: ["5","7"]'],
    ["5, 7", "ambiguous_header", 'response.headers.X-Tokens-Used is "5, 7": several values of one header'],
  ])("header %j is held as %s", (value, reason, detail) => {
    expect(verdictOf(tokenMeter(), withHeader(value))).toEqual(held(reason, detail));
  });

  test("the same request header twice is ambiguous (H01)", () => {
    const meter = tokenMeter({ value: "request.headers.X-Tokens" });
    for (const value of [["5", "7"], "5, 7"]) {
      const event = chatEvent({ request: { route: "/chat", headers: { "x-tokens": value } } });
      expect(verdictOf(meter, event)).toMatchObject({ kind: "held", reason: "ambiguous_header" });
    }
  });

  test("one header line in a list is that line", () => {
    expect(verdictOf(tokenMeter(), withHeader(["7"]))).toMatchObject({ kind: "counted", value: fromInteger(7) });
  });

  test.each<[Json, string]>([
    [1.5, "1.5"],
    ["1e3", "1000"],
    [0, "0"],
    ["-0", "0"],
  ])("body value %j counts %s", (value, text) => {
    expect(verdictOf(bodyMeter, withBody(value))).toMatchObject({ kind: "counted", value: parseDecimal(text) });
  });

  test.each<[Json, HoldReason]>([
    [" 42 ", "not_a_number"],
    [null, "not_a_number"],
    [true, "not_a_number"],
    [{ n: 1 }, "not_a_number"],
    [[1, 2], "not_a_number"],
    [9007199254740992, "unsafe_integer"],
  ])("body value %j is held as %s", (value, reason) => {
    expect(verdictOf(bodyMeter, withBody(value))).toMatchObject({ kind: "held", reason, value: null });
  });

  test("2^53+1 in a JSON body is counted to the digit or held, never rounded (N05)", () => {
    const body = parseExactJson('{"data":{"tokens":9007199254740993}}');
    const meter = tokenMeter({ value: "$.request.body.data.tokens" });
    expect(verdictOf(meter, chatEvent({ request: { route: "/chat", body } }))).toMatchObject({
      kind: "counted",
      value: fromInteger(9007199254740993n),
    });
  });

  test("allowNegative counts corrections", () => {
    expect(verdictOf(tokenMeter({ allowNegative: true }), withHeader("-5"))).toMatchObject({ value: fromInteger(-5) });
  });

  test("a missing value is held, skipped or zero", () => {
    const event = chatEvent({ response: { status: 200, headers: {} } });
    expect(verdictOf(tokenMeter(), event)).toEqual(held("missing_value", "response.headers.X-Tokens-Used is missing"));
    expect(verdictOf(tokenMeter({ missingValue: "skip" }), event)).toMatchObject({
      kind: "skipped",
      reason: "response.headers.X-Tokens-Used is missing, and missingValue is skip",
    });
    expect(verdictOf(tokenMeter({ missingValue: "zero" }), event)).toMatchObject({ kind: "counted", value: 0n });
  });

  test.each<[Json, string]>([
    ["abc", "abc"],
    ["", ""],
    [1.5, "1.5"],
    [1e-7, "0.0000001"],
    [true, "true"],
    [null, "missing_value"],
    [{ a: 1 }, "not_a_number"],
    [["a"], "not_a_number"],
  ])("unique of %j is %j", (value, expected) => {
    const verdict = verdictOf({ ...bodyMeter, aggregate: "unique" }, withBody(value));
    expect(verdict.kind === "held" ? verdict.reason : verdict.kind === "counted" && verdict.value).toBe(expected);
  });

  test("unique of nothing with missingValue zero counts nothing", () => {
    const meter = { ...bodyMeter, aggregate: "unique", missingValue: "zero" } as const;
    expect(verdictOf(meter, chatEvent())).toMatchObject({ kind: "skipped" });
  });
});

describe("groups", () => {
  test.each<[Json | undefined, string]>([
    ["gpt", '{"model":"gpt"}'],
    [undefined, '{"model":""}'],
    [null, '{"model":"null"}'],
    [true, '{"model":"true"}'],
    [1.5, '{"model":"1.5"}'],
    [{ a: 1 }, '{"model":""}'],
    [["a", "b"], '{"model":""}'],
    ["x".repeat(500), `{"model":"${"x".repeat(200)}"}`],
    [`${"x".repeat(199)}💧`, `{"model":"${"x".repeat(199)}"}`],
  ])("label %j", (model, group) => {
    const meter = tokenMeter({ groupBy: { model: "metadata.model" } });
    const metadata = model === undefined ? {} : { model };
    expect(verdictOf(meter, chatEvent({ metadata }))).toMatchObject({ kind: "counted", group });
  });

  test("labels in any order give one text, and their values are never glued", () => {
    const one = tokenMeter({ groupBy: { b: "metadata.b", a: "metadata.a" } });
    const two = tokenMeter({ groupBy: { a: "metadata.a", b: "metadata.b" } });
    const event = chatEvent({ metadata: { a: "1:2", b: "" } });
    expect(verdictOf(one, event)).toEqual(verdictOf(two, event));
    const catalog = compileCatalog({ versions: [firstVersion(one)], fields: {}, unknownIdentity: "hold" });
    const groups = [
      { a: "x", b: "1:y" },
      { a: "x1:", b: "y" },
      { a: "", b: "x1:y" },
      { a: "x", b: "1:y" },
    ].map((metadata) => catalog.judge(chatEvent({ metadata }))[0]);
    expect(groups.map((verdict) => verdict?.kind === "counted" && verdict.group)).toEqual([
      '{"a":"x","b":"1:y"}',
      '{"a":"x1:","b":"y"}',
      '{"a":"","b":"x1:y"}',
      '{"a":"x","b":"1:y"}',
    ]);
  });
});

describe("the payer", () => {
  test.each<[HoldReason | null, string]>([
    [null, "identifyCompany() gave nothing"],
    ["identify_failed", "identifyCompany() failed"],
    ["identify_timeout", "identifyCompany() did not answer in time"],
    ["identify_bad_type", "identifyCompany() gave something that is no text"],
    ["bad_identifier", "identifyCompany() gave an identifier that is empty, too long or has control characters"],
  ])("fault %s is held with the value known", (fault, detail) => {
    const event = chatEvent({ company: null, ...(fault === null ? {} : { faults: { company: fault } }) });
    expect(verdictOf(tokenMeter(), event)).toEqual(held(fault ?? "no_company", detail, fromInteger(120)));
  });

  test("tracked work says so in its own words", () => {
    const meter = tokenMeter({ eventType: "job", match: [], value: "metadata.n" });
    const event = chatEvent({ type: "job", metadata: { n: 1 }, company: null });
    expect(verdictOf(meter, event)).toMatchObject({ detail: "no companyId was given" });
  });

  test("drop skips what nobody was identified for, but holds what could not be asked", () => {
    const drop = { unknownIdentity: "drop" } as const;
    expect(verdictOf(tokenMeter(), chatEvent({ company: null }), drop)).toMatchObject({
      kind: "skipped",
      reason: "nobody identified",
    });
    const failed = chatEvent({ company: null, faults: { company: "identify_timeout" } });
    expect(verdictOf(tokenMeter(), failed, drop)).toMatchObject({ kind: "held", reason: "identify_timeout" });
  });

  test("other faults come first: an unusable value is not known", () => {
    const event = { ...withHeader("abc"), company: null };
    expect(verdictOf(tokenMeter(), event)).toMatchObject({ reason: "not_a_number", value: null });
  });
});

describe("time", () => {
  test("five minutes ahead of recording is accepted, more is held", () => {
    const recordedAt = 1_000_000;
    const at = (time: number) => verdictOf(tokenMeter(), chatEvent({ time, recordedAt })).kind;
    expect(at(recordedAt + 5 * 60_000)).toBe("counted");
    expect(verdictOf(tokenMeter(), chatEvent({ time: recordedAt + 5 * 60_000 + 1, recordedAt }))).toMatchObject({
      reason: "future",
    });
    expect(at(0)).toBe("counted");
  });
});

describe("what could not be captured", () => {
  test("holds a meter whose value is below a faulted path", () => {
    const event = chatEvent({ faults: { "request.body": "body_too_large" } });
    expect(verdictOf(bodyMeter, event)).toEqual(held("body_too_large", "request.body is larger than what is read"));
    expect(verdictOf(tokenMeter(), event).kind).toBe("counted");
  });

  test("a path in another spelling, and a fault deeper than the path", () => {
    const spelled = chatEvent({ faults: { "response.headers.x-tokens-used": "ambiguous_header" } });
    expect(verdictOf(tokenMeter(), spelled)).toMatchObject({ kind: "held", reason: "ambiguous_header" });
    const deeper = chatEvent({ faults: { "request.body.tokens": "body_too_large" } });
    expect(verdictOf(tokenMeter({ value: "$.request.body.*" }), deeper)).toMatchObject({ reason: "body_too_large" });
  });

  test("a line that reads it is undecided: held, unless another line fails for certain", () => {
    const faults = { "request.body": "body_not_json" } as const;
    const meter = tokenMeter({
      match: [{ path: "request.body.model", op: "eq", value: "large" }, ...tokenMeter().match],
    });
    expect(verdictOf(meter, chatEvent({ faults }))).toEqual(held("body_not_json", "request.body is not JSON"));
    expect(verdictOf(meter, chatEvent({ faults, response: { status: 500 } }))).toMatchObject({ kind: "skipped" });
  });

  test("a group that reads it is held too", () => {
    const meter = tokenMeter({ groupBy: { model: "request.body.model" } });
    const event = chatEvent({ request: { route: "/chat" }, faults: { "request.body": "body_too_large" } });
    expect(verdictOf(meter, event)).toMatchObject({ kind: "held", reason: "body_too_large", group: '{"model":""}' });
  });

  test("the user hook's failure concerns only meters that read the user", () => {
    const event = chatEvent({ faults: { user: "identify_failed" } });
    expect(verdictOf(tokenMeter(), event).kind).toBe("counted");
    expect(verdictOf(tokenMeter({ value: "$..x-tokens-used" }), event).kind).toBe("counted");
    expect(verdictOf(tokenMeter({ groupBy: { user: "user" } }), event)).toMatchObject({ reason: "identify_failed" });
  });
});

describe("computed fields", () => {
  const fields = {
    billable: 'number(response.headers["x-tokens-used"]) - number(response.headers[?"x-cached"].orValue("0"))',
    bodied: "number(request.body.tokens)",
  };

  test("are values", () => {
    const meter = tokenMeter({ value: "fields.billable" });
    const event = chatEvent({ response: { status: 200, headers: { "x-tokens-used": "120", "x-cached": "20" } } });
    expect(verdictOf(meter, event, { fields })).toMatchObject({ kind: "counted", value: fromInteger(100) });
  });

  test("that fail are held with the reason, in value, group and line", () => {
    const event = withHeader("12abc");
    const detail = expect.stringContaining("fields.billable failed: ");
    const expected = { kind: "held", reason: "field_error", detail };
    expect(verdictOf(tokenMeter({ value: "fields.billable" }), event, { fields })).toMatchObject(expected);
    const counting = tokenMeter({ aggregate: "count", value: null });
    expect(verdictOf({ ...counting, groupBy: { b: "fields.billable" } }, event, { fields })).toMatchObject(expected);
    const line = { path: "fields.billable", op: "gt", value: 5 } as const;
    expect(verdictOf({ ...counting, match: [line] }, event, { fields })).toMatchObject(expected);
    const cel = { cel: "number(fields.billable) > 5" };
    expect(verdictOf({ ...counting, match: [cel] }, event, { fields })).toMatchObject(expected);
  });

  test("decide lines and conditions", () => {
    const counting = tokenMeter({ aggregate: "count", value: null });
    const over = (value: number) =>
      verdictOf({ ...counting, match: [{ path: "fields.billable", op: "gt", value }] }, chatEvent(), { fields });
    expect(over(119).kind).toBe("counted");
    expect(over(120)).toMatchObject({ kind: "skipped", reason: 'fields.billable is "120", wants > 120' });
    const cel = { ...counting, match: [{ cel: "number(fields.billable) > 119 && response.status == 200" }] };
    expect(verdictOf(cel, chatEvent(), { fields }).kind).toBe("counted");
  });

  test("hold what could not be captured for the reason it could not", () => {
    const event = chatEvent({ request: { route: "/chat" }, faults: { "request.body": "body_too_large" } });
    expect(verdictOf(tokenMeter({ value: "fields.bodied" }), event, { fields })).toMatchObject({
      kind: "held",
      reason: "body_too_large",
    });
  });

  test("are forgotten with their event", () => {
    const catalog = compileCatalog({
      versions: [firstVersion(tokenMeter({ value: "fields.billable" }))],
      fields,
      unknownIdentity: "hold",
    });
    const values = ["5", "abc", "7"].map((text) => catalog.judge(withHeader(text))[0]);
    expect(values.map((verdict) => (verdict?.kind === "counted" ? verdict.value : verdict?.kind))).toEqual([
      fromInteger(5),
      "held",
      fromInteger(7),
    ]);
  });

  test("that are not declared are a mistake", () => {
    const versions = [firstVersion(tokenMeter({ value: "fields.gone" }))];
    expect(() => compileCatalog({ versions, fields, unknownIdentity: "hold" })).toThrow(
      "no computed field has this name",
    );
  });

  test("may be called __proto__", () => {
    const odd = JSON.parse('{"__proto__": "1 + 1"}');
    const meter = tokenMeter({ value: "fields.__proto__" });
    expect(verdictOf(meter, chatEvent(), { fields: odd })).toMatchObject({ kind: "counted", value: fromInteger(2) });
  });
});
