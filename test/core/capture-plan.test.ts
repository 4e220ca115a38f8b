import { describe, expect, test } from "vitest";
import { planCapture } from "../../src/core/capture-plan.ts";
import type { CaptureNeeds, CapturePlan } from "../../src/core/capture-plan.ts";
import { tokenMeter } from "./match-fixtures.ts";

function planWithReads(needs: Partial<CaptureNeeds>): CapturePlan {
  return planCapture({ meters: [], fields: {}, identityPaths: [], ...needs });
}

function plan(needs: Partial<CaptureNeeds>): Omit<CapturePlan, "reads"> {
  const { reads: _reads, ...rest } = planWithReads(needs);
  return rest;
}

const nothing = {
  requestHeaders: [],
  responseHeaders: [],
  query: [],
  params: [],
  requestBody: { kind: "none" },
  responseBody: { kind: "none" },
  metadata: "whole",
  meteredHeaders: { request: [], response: [] },
};

describe("what is kept", () => {
  test("nothing without meters", () => {
    expect(plan({})).toEqual(nothing);
  });

  test("the tutorial's meter needs one header", () => {
    expect(plan({ meters: [tokenMeter()] })).toEqual({
      ...nothing,
      responseHeaders: ["x-tokens-used"],
      meteredHeaders: { request: [], response: ["x-tokens-used"] },
    });
  });

  test("every path of match, value and groupBy counts, nested ones too", () => {
    const meter = tokenMeter({
      match: [
        { path: "request.headers.X-Plan", op: "exists", value: true },
        {
          or: [
            { not: { path: "request.query.q", op: "eq", value: "1" } },
            { cel: "request.params.id == response.body.id" },
          ],
        },
      ],
      value: "response.body.usage.total_tokens",
      groupBy: { model: "request.body.model", first: "request.body.messages[0].role" },
    });
    expect(plan({ meters: [meter] })).toEqual({
      ...nothing,
      requestHeaders: ["x-plan"],
      query: ["q"],
      params: ["id"],
      requestBody: { kind: "paths", paths: [["messages"], ["model"]] },
      responseBody: { kind: "paths", paths: [["id"], ["usage", "total_tokens"]] },
    });
  });

  test("a path below another is part of it", () => {
    const meter = tokenMeter({ value: "response.body.usage.total", groupBy: { usage: "response.body.usage" } });
    expect(plan({ meters: [meter] }).responseBody).toEqual({ kind: "paths", paths: [["usage"]] });
  });

  test("a computed name, a wildcard or the whole keeps all", () => {
    const whole = { kind: "whole" };
    expect(plan({ meters: [tokenMeter({ value: "$.response.body.*" })] }).responseBody).toEqual(whole);
    expect(plan({ meters: [tokenMeter({ value: "$.response.body.usage..total" })] }).responseBody).toEqual({
      kind: "paths",
      paths: [["usage"]],
    });
    expect(plan({ fields: { f: "request.body[metadata.key]" } }).requestBody).toEqual(whole);
    expect(plan({ fields: { f: "size(request.headers)" } }).requestHeaders).toBe("all");
    expect(plan({ meters: [tokenMeter({ value: "$..total" })] })).toMatchObject({
      requestHeaders: "all",
      responseHeaders: "all",
      query: "all",
      params: "all",
      requestBody: whole,
      responseBody: whole,
    });
  });

  test("fields are followed, and their headers are metered where a meter takes its value from them", () => {
    const fields = {
      billable: 'number(response.headers["x-tokens-used"]) - number(response.headers[?"x-cached"].orValue("0"))',
      other: 'request.headers["x-other"]',
    };
    expect(plan({ meters: [tokenMeter({ value: "fields.billable" })], fields })).toEqual({
      ...nothing,
      requestHeaders: ["x-other"],
      responseHeaders: ["x-cached", "x-tokens-used"],
      meteredHeaders: { request: [], response: ["x-cached", "x-tokens-used"] },
    });
  });

  test("identity is read from the live request: its headers are not stored, its body must be parsed", () => {
    const identityPaths = ["hook", "request.user.companyId", "request.headers.X-Org", "request.body.org.id"];
    expect(plan({ identityPaths })).toEqual({ ...nothing, requestBody: { kind: "paths", paths: [["org", "id"]] } });
  });

  test("names every place that is read, for masking to leave alone", () => {
    const { reads } = planWithReads({ meters: [tokenMeter()], fields: { f: "metadata.n" }, identityPaths: ["user"] });
    expect(reads).toHaveLength(4);
    expect(reads).toEqual(
      expect.arrayContaining([
        ["response", "headers", "x-tokens-used"],
        ["request", "route"],
        ["response", "status"],
        ["metadata", "n"],
      ]),
    );
  });

  test("what cannot be compiled is a mistake", () => {
    expect(() => plan({ meters: [tokenMeter({ value: "a..b" })] })).toThrow(expect.objectContaining({ offset: 2 }));
    expect(() => plan({ fields: { f: "1 +" } })).toThrow(expect.objectContaining({ offset: 3 }));
  });
});
