import { describe, expect, it } from "vitest";

import { correctedEvent, type FieldValue } from "../../src/core/corrected-event.ts";
import type { UsageEvent } from "../../src/core/event.ts";

const event: UsageEvent = {
  source: "app",
  id: "a",
  type: "http.request",
  time: 1_000,
  company: "acme",
  user: "u",
  request: { method: "POST", route: "/chat", headers: { "x-a": ["1", "2"] }, query: { q: "x" }, body: { n: 1 } },
  response: { status: 200, headers: {}, body: { usage: { tokens: [1, 2] } } },
  metadata: { model: "small" },
  values: { tokens: "5" },
  faults: { "response.body": "body_too_large", company: "identify_failed" },
};
const as = { name: { source: "correction", id: "a~1" }, recordedAt: 9_000 };

function replaced(...values: readonly [string, string][]): UsageEvent {
  const fields: FieldValue[] = values.map(([path, text]) => ({ path, text }));
  return correctedEvent(event, fields, as);
}

describe("correctedEvent", () => {
  it("keeps every other fact and the time, and names what it corrects", () => {
    const { company: _company, ...rest } = event;
    expect(replaced(["company", "globex"])).toEqual({
      ...rest,
      source: "correction",
      id: "a~1",
      recordedAt: 9_000,
      company: "globex",
      corrects: { source: "app", id: "a" },
      faults: { "response.body": "body_too_large" },
    });
    expect(event.company).toBe("acme");
  });

  it("sets headers whatever their case, texts, exact values, numbers and JSON deep inside", () => {
    const set = replaced(
      ["response.headers.X-Tokens-Used", "12"],
      ["request.headers.X-A", "7"],
      ["request.query.q", "y"],
      ["response.status", "201"],
      ["values.tokens", "9007199254740993.50"],
      ["metadata.model", "large"],
      ["metadata.deep.n", "3"],
      ["durationMs", "1.5"],
      ["aborted", "true"],
    );
    expect(set.response?.headers).toEqual({ "x-tokens-used": "12" });
    expect(set.request?.headers).toEqual({ "x-a": "7" });
    expect(set.request?.query).toEqual({ q: "y" });
    expect(set.response?.status).toBe(201);
    expect(set.values).toEqual({ tokens: "9007199254740993.5" });
    expect(set.metadata).toEqual({ model: "large", deep: { n: 3 } });
    expect(set.durationMs).toBe(1.5);
    expect(set.aborted).toBe(true);
    const body = replaced(
      ["response.body.usage.tokens[1]", "9007199254740993"],
      ["response.body.usage.tokens[2]", "x"],
    );
    expect(body.response?.body).toEqual({ usage: { tokens: [1, "9007199254740993", "x"] } });
    // The body is known at this place now, so that its fault holds no meter any more.
    expect(body.faults).toEqual({ company: "identify_failed" });
    expect(event.metadata).toEqual({ model: "small" });
  });

  it("has no way to a prototype", () => {
    const set = replaced(["metadata.__proto__.polluted", "1"]);
    expect(Object.hasOwn(set.metadata as object, "__proto__")).toBe(true);
    expect("polluted" in {}).toBe(false);
  });

  it("refuses what identifies the event, what is computed, and values that cannot stand there", () => {
    const refused: readonly [string, string][] = [
      ["id", "b"],
      ["source", "b"],
      ["time", "5"],
      ["recordedAt", "5"],
      ["faults.company", "no_company"],
      ["corrects.id", "z"],
      ["fields.total", "5"],
      ["$.metadata.model", "5"],
      ["sessionToken", "5"],
      ["company", ""],
      ["company.name", "x"],
      ["values.tokens", "many"],
      ["values", "5"],
      ["values.a.b", "5"],
      ["response.status", "abc"],
      ["response.nothing", "1"],
      ["request", "{}"],
      ["request.headers", "x"],
      ["request.method.x", "x"],
      ["aborted", "maybe"],
      ["durationMs", "-1"],
      ["durationMs", ""],
      ["metadata.model.deep", "1"],
      ["response.body.usage.tokens[3]", "1"],
      ["response.body.usage.tokens.x", "1"],
    ];
    for (const value of refused)
      expect(() => replaced(value)).toThrow(expect.objectContaining({ code: "METER_CORRECTION_REFUSED" }));
    expect(() => replaced(["a..b", "1"])).toThrow(expect.objectContaining({ code: "METER_CONFIG_INVALID" }));
  });
});
