import { describe, expect, test } from "vitest";
import { compileCatalog } from "../../src/core/catalog.ts";
import { fromInteger } from "../../src/core/decimal.ts";
import type { UsageEvent } from "../../src/core/event.ts";
import { eventSummary, explainSentence } from "../../src/core/explain.ts";
import type { SentenceContext } from "../../src/core/explain.ts";
import type { MeteredValue, Verdict } from "../../src/core/verdict.ts";
import { chatEvent, firstVersion, tokenMeter } from "./match-fixtures.ts";

function sentenceFor(event: UsageEvent, context: SentenceContext = {}): string {
  const catalog = compileCatalog({ versions: [firstVersion(tokenMeter())], fields: {}, unknownIdentity: "hold" });
  return catalog
    .explain(event)
    .map((verdict) => explainSentence(verdict, context))
    .join("\n");
}

function counted(value: MeteredValue): Verdict {
  return { kind: "counted", meter: "m", version: 1, value, group: "{}" };
}

describe("sentences", () => {
  test("counted, not counted, held", () => {
    expect(sentenceFor(chatEvent(), { unit: "token" })).toBe("counted 120 tokens");
    expect(sentenceFor(chatEvent({ response: { status: 429 } }))).toBe(
      "not counted: response.status is 429, wants 200",
    );
    expect(sentenceFor(chatEvent({ company: null }))).toBe("held: identifyCompany() gave nothing");
  });

  test.each<[MeteredValue, string | null, string]>([
    [fromInteger(1), "token", "counted 1 token"],
    [fromInteger(0), "token", "counted 0 tokens"],
    [fromInteger(3), "GB", "counted 3 GB"],
    [fromInteger(3), "ms", "counted 3 ms"],
    [fromInteger(3), null, "counted 3"],
    ["user-7", "user", 'counted "user-7"'],
  ])("%s %s", (value, unit, sentence) => {
    expect(explainSentence(counted(value), { unit })).toBe(sentence);
  });

  test("the event may stand in front", () => {
    const event = chatEvent();
    expect(sentenceFor(event, { unit: "token", event: eventSummary(event) })).toBe(
      "POST /chat 200: counted 120 tokens",
    );
  });
});

test.each<[Partial<UsageEvent>, string]>([
  [{ request: { method: "GET", path: "/x/9", route: null }, response: { status: 404 } }, "GET /x/9 404"],
  [{ type: "nightly_export", request: {}, response: {} }, "nightly_export"],
])("what happened: %j", (changes, summary) => {
  expect(eventSummary(chatEvent(changes))).toBe(summary);
});
