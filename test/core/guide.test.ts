import { describe, expect, it } from "vitest";

import type { Json } from "../../src/core/event.ts";
import { fieldLabel, guideMeters, ruleLabels, type Guide } from "../../src/core/guide.ts";
import { recordReader, suspendedEvent } from "../../src/core/guided-record.ts";

const NOW = Date.parse("2026-02-01T00:00:00Z");

const guide: Guide = {
  key: "calls",
  eventType: "call",
  userId: "data.user",
  value: "data.seconds",
  timestamp: "data.at",
  dedupeBy: null,
  validate: [{ or: [{ path: "data.kind", op: "eq", value: "a" }] }],
  rules: [
    {
      key: "any_of",
      when: "any",
      conditions: [
        { path: "data.level", op: "eq", value: 1 },
        { path: "data.vip", op: "eq", value: true },
      ],
      category: "calls",
      groupBy: [["data.region"], ["data.region", "data.vip"]],
      carryFirst: [],
      carryLast: [],
      createOnFirstUse: null,
    },
    {
      key: "always",
      when: "always",
      conditions: [],
      category: "peaks",
      groupBy: [],
      carryFirst: [],
      carryLast: [],
      createOnFirstUse: null,
    },
  ],
  allowNegative: false,
  report: true,
  suspendedMax: null,
};
const read = (record: Json, changes: Partial<Guide> = {}) =>
  recordReader({ ...guide, ...changes }).read(record, { now: NOW, futureMs: 300_000, id: "made" });
const good = { user: "u", seconds: 3, kind: "a", level: 1 };

describe("a guide", () => {
  it("makes a meter for each rule and aggregation of its category, and reports those that add up", () => {
    const meters = guideMeters(guide, (category) => (category === "calls" ? ["sum", "increment"] : ["max"]));
    expect(meters.map(({ key, aggregate, value, report }) => [key, aggregate, value, report])).toEqual([
      ["calls_records", "count", null, false],
      ["calls_any_of_sum", "sum", "data.seconds", true],
      ["calls_any_of_increment", "count", null, true],
      ["calls_always_max", "max", "data.seconds", false],
    ]);
    expect(meters[1]?.groupBy).toEqual({ region: "data.region", vip: "data.vip" });
  });

  it("names labels by the field, and refuses two of one name", () => {
    expect(["data.region", 'data["my field"]', "data.a.b-c", "data.2nd"].map(fieldLabel)).toEqual([
      "region",
      "field",
      "b_c",
      "_2nd",
    ]);
    expect(() => ruleLabels({ groupBy: [["data.a.x"], ["data.b.x"]] })).toThrow("would have one label, x");
  });
});

describe("a record", () => {
  it.each<[string, Json, readonly string[]]>([
    ["all of its rules", good, ["any_of", "always"]],
    ["either condition of a rule of any", { ...good, level: 2, vip: true }, ["any_of", "always"]],
    ["a rule without conditions alone", { ...good, level: 2 }, ["always"]],
    ["conditions by the very letters", { ...good, level: "1 " }, ["always"]],
  ])("meets %s", (_name, record, rules) => {
    const guided = read(record);
    expect(guided.rules.map(({ key }) => key)).toEqual(rules);
    expect(guided.problems).toEqual([]);
  });

  it.each<[string, Json, string, string]>([
    ["no user", { ...good, user: "" }, "company", "no_company"],
    ["a user that cannot be a name", { ...good, user: "a\nb" }, "company", "no_company"],
    ["no value", { ...good, seconds: null }, "data.seconds", "missing_value"],
    ["a value that is none", { ...good, seconds: "3s" }, "data.seconds", "not_a_number"],
    ["a value of too many digits", { ...good, seconds: "0.0000000000001" }, "data.seconds", "too_many_fraction_digits"],
    ["a negative value", { ...good, seconds: -1 }, "data.seconds", "negative_value"],
    ["a time that is none", { ...good, at: "yesterday" }, "time", "bad_timestamp"],
    ["a time without a zone", { ...good, at: "2026-01-01T00:00:00" }, "time", "bad_timestamp"],
    ["a time that lies ahead", { ...good, at: NOW + 300_001 }, "time", "future"],
    ["a condition that does not hold", { ...good, kind: "b" }, "data", "invalid_record"],
  ])("with %s is suspended", (_name, record, path, reason) => {
    const { problems, event } = read(record);
    expect(problems.map((problem) => [problem.path, problem.reason])).toEqual([[path, reason]]);
    expect(suspendedEvent(event, problems).faults).toEqual({ [path]: reason });
  });

  it.each<[string, Json, number, boolean]>([
    ["ISO 8601 with milliseconds", "2026-01-15T10:00:00.123Z", Date.parse("2026-01-15T10:00:00.123Z"), true],
    ["another zone", "2026-01-15T10:00:00+02:00", Date.parse("2026-01-15T08:00:00Z"), true],
    ["milliseconds", 1_768_471_200_000, 1_768_471_200_000, true],
    ["milliseconds as text", "1768471200000", 1_768_471_200_000, true],
    ["no time: it happens now", null, NOW, false],
    ["an empty time: it happens now", "", NOW, false],
  ])("may state %s", (_name, at, time, isStated) => {
    const { event, problems } = read({ ...good, at });
    expect([event.time, event.recordedAt === NOW, problems]).toEqual([time, isStated, []]);
  });

  it("is named by what the guide says, and suspended where that is missing", () => {
    expect(read({ ...good, id: 7 }, { dedupeBy: "data.id" }).event.id).toBe("7");
    const nameless = read(good, { dedupeBy: "data.id" });
    expect([nameless.event.id, nameless.problems[0]?.detail]).toEqual(["made", "data.id is missing"]);
    expect(read({ ...good, seconds: -1 }, { allowNegative: true }).problems).toEqual([]);
  });
});
