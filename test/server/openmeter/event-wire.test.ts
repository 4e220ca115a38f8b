import { describe, expect, it } from "vitest";

import {
  eventFilter,
  lookUp,
  matchesEvent,
  type EventConditions,
} from "../../../src/server/openmeter/event-conditions.ts";
import { cloudEvent, shownEvent } from "../../../src/server/openmeter/event-wire.ts";
import { textField, timeField } from "../../../src/server/openmeter/field-filter.ts";
import { matchesText } from "../../../src/server/openmeter/text-condition.ts";
import { nextPage } from "../../../src/server/openmeter/v3-event-routes.ts";
import { listedEvent, T0 } from "./samples.ts";

const conditions = (filter: object): EventConditions => eventFilter.parse(JSON.stringify(filter));

describe("a listed event", () => {
  it("is the CloudEvent that was sent", () => {
    expect(cloudEvent(listedEvent())).toEqual({
      id: "e1",
      source: "app",
      specversion: "1.0",
      type: "prompt",
      subject: "s1",
      time: "2025-01-01T00:00:00.000Z",
      datacontenttype: "application/json",
      data: { tokens: 3 },
    });
  });

  it("of the middleware has the facts of its exchange as payload, and whom it is for as subject", () => {
    const { event } = listedEvent();
    const { subject: _, data: __, attributes: ___, ...captured } = event;
    const listed = listedEvent({ event: { ...captured, request: { method: "GET" }, durationMs: 3 }, subject: null });
    expect(cloudEvent(listed)).toMatchObject({ subject: "acme", data: { request: { method: "GET" }, durationMs: 3 } });
  });

  it("says in one sentence all that keeps it from counting", () => {
    const problems = [
      { code: "a", message: "no meter for the type", meter: null },
      { code: "b", message: "nobody pays", meter: "m" },
    ];
    expect(shownEvent(listedEvent({ problems, customer: "c1" }))).toMatchObject({
      customerId: "c1",
      validationError: "no meter for the type; nobody pays",
      ingestedAt: "2025-01-01T00:00:00.005Z",
      storedAt: "2025-01-01T00:00:00.009Z",
    });
    expect(shownEvent(listedEvent())).not.toHaveProperty("validationError");
  });
});

describe("the filter of v2's list", () => {
  it.each([
    [{ id: { $eq: "e1" } }, true],
    [{ id: { $eq: "e" } }, false],
    [{ subject: { $in: ["s1", "s2"] }, type: { $ne: "x" } }, true],
    [{ subject: { $or: [{ $eq: "x" }, { $like: "s_" }] } }, true],
    [{ source: { $nilike: "A%" } }, false],
    [{ customerId: { $in: ["c1"] } }, false],
    [{ time: { $gte: "2025-01-01T00:00:00Z", $lt: "2025-01-01T00:00:01Z" } }, true],
    [{ time: { $gt: "2025-01-01T00:00:00Z" } }, false],
    [{ ingestedAt: { $or: [{ $gt: "2026-01-01T00:00:00Z" }, { $lte: "2025-01-01T00:00:01Z" }] } }, true],
    [{}, true],
  ])("%j: %s", (filter, fits) => {
    expect(matchesEvent(conditions(filter), listedEvent())).toBe(fits);
  });

  it("is looked up where the store can, and never for less than what fits", () => {
    const wide = { subject: { $like: "s%" }, time: { $gt: "2025-01-01T00:00:00Z", $lte: "2025-01-01T00:00:01Z" } };
    expect(lookUp(conditions(wide))).toEqual({ from: T0 + 1, to: T0 + 1_001 });
    const narrow = { id: { $eq: "e" }, type: { $eq: "t" }, customerId: { $in: ["c"] } };
    expect(lookUp(conditions(narrow))).toEqual({ idPart: "e", type: "t", customers: ["c"] });
  });

  it.each(["", "[]", "{", '{"ids":{}}', '{"id":{"eq":"x"}}', '{"time":{"$gt":"soon"}}'])("%j is refused", (text) => {
    expect(eventFilter.safeParse(text).success).toBe(false);
  });
});

describe("v3's filters", () => {
  it("take a value as it is, and operators with lists", () => {
    expect(textField.parse("x")).toEqual({ eq: "x" });
    expect(textField.parse({ oeq: "a,b", exists: "true" })).toEqual({ in: ["a", "b"], exists: true });
    expect(textField.parse({ contains: "x" })).toEqual({ parts: ["x"] });
    expect(timeField.parse({ gte: "2025-01-01T00:00:00Z" })).toEqual({ gte: T0 });
    expect(textField.safeParse({ regex: "x" }).success).toBe(false);
  });

  it("decide about texts", () => {
    expect(matchesText({ parts: ["CM"] }, "acme")).toBe(true);
    expect(matchesText({ exists: false }, null)).toBe(true);
    expect(matchesText({ exists: true }, null)).toBe(false);
    expect(matchesText({ ne: "x" }, null)).toBe(true);
    expect(matchesText({ gte: "b", lt: "c" }, "bz")).toBe(true);
    expect(matchesText({ like: "a%c_e" }, "abcde")).toBe(true);
    expect(matchesText({ like: "a%c_" }, "abcde")).toBe(false);
  });

  it("judge a pattern made to take long at once", () => {
    const began = performance.now();
    expect(matchesText({ like: `${"%a".repeat(2_000)}b` }, "a".repeat(5_000))).toBe(false);
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it("lead to the next page with what was asked", () => {
    const next = nextPage("/api/v3/openmeter/events?filter%5Btype%5D=x&page[after]=old", "new");
    const query = new URLSearchParams(next.slice(1));
    expect([...query]).toEqual([
      ["filter[type]", "x"],
      ["page[after]", "new"],
    ]);
  });
});
