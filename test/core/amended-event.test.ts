import { expect, it } from "vitest";

import { completeEvent, isVoiding, voidingOf } from "../../src/core/amended-event.ts";
import type { Amendment, UsageEvent, Voiding } from "../../src/core/event.ts";

const event: UsageEvent = { source: "s", id: "1", type: "http.request", time: 0, company: null, user: null };
const amendment = (facts: Partial<Amendment>): Amendment => ({ source: "s", id: "1", closes: "identity", ...facts });

it.each<[string, UsageEvent, Partial<Amendment>, Partial<UsageEvent>]>([
  ["fills in who it was for", event, { company: "acme", user: "ada" }, { company: "acme", user: "ada" }],
  ["never changes who it was for", { ...event, company: "acme" }, { company: "globex" }, { company: "acme" }],
  ["fills in metadata", event, { metadata: { model: "m" } }, { metadata: { model: "m" } }],
  ["never changes metadata", { ...event, metadata: 1 }, { metadata: 2 }, { metadata: 1 }],
  ["marks an abort", event, { closes: "end", aborted: true }, { aborted: true }],
  ["never changes how it ended", { ...event, aborted: false }, { closes: "end", aborted: true }, { aborted: false }],
  [
    "keeps a fault of the payer while nobody is known",
    event,
    { faults: { company: "identify_failed" } },
    { faults: { company: "identify_failed" } },
  ],
])("%s", (_what, before, facts, after) => {
  expect(completeEvent(before, amendment(facts))).toEqual({ ...before, ...after });
});

it("drops the payer's fault, and only that, once the payer is known", () => {
  const faulty: UsageEvent = { ...event, faults: { company: "identify_timeout", "response.body": "body_too_large" } };
  expect(completeEvent(faulty, amendment({ company: "acme" }))).toEqual({
    ...event,
    company: "acme",
    faults: { "response.body": "body_too_large" },
  });
});

it("adds no part that neither of both states", () => {
  expect(completeEvent(event, amendment({ user: "ada" }))).toStrictEqual({ ...event, user: "ada" });
  expect(completeEvent(event, amendment({ aborted: false }))).toStrictEqual(event);
});

it("takes an event for voided by the operator's word alone, the first where there are two", () => {
  const voiding: Voiding = { source: "s", id: "1", closes: "void", cause: "a test" };
  const facts = [amendment({ company: "acme" }), voiding, { ...voiding, cause: "said again" }];
  expect(facts.map(isVoiding)).toEqual([false, true, true]);
  expect(voidingOf(facts)).toBe(voiding);
  expect(voidingOf([amendment({ closes: "end" })])).toBeNull();
  expect(voidingOf([])).toBeNull();
});
