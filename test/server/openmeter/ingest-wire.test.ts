import { IncomingMessage } from "node:http";
import { Socket } from "node:net";

import { describe, expect, it } from "vitest";

import type { EventResult, IngestReply } from "../../../src/engine/intake/accepted.ts";
import { ingestCall, ingestReply, preferenceOf } from "../../../src/server/openmeter/ingest-wire.ts";

function requestWith(headers: Record<string, string>): IncomingMessage {
  return Object.assign(new IncomingMessage(new Socket()), { headers });
}

const kept = (status: "stored" | "duplicate" | "conflict", index: number): EventResult => ({
  status,
  index,
  source: "app",
  id: `e${index}`,
  held: [],
  unmetered: false,
});
const rejected = (index: number): EventResult => ({
  status: "rejected",
  index,
  source: null,
  id: null,
  problems: [{ pointer: "/subject", message: "is missing" }],
});
const results = (...list: EventResult[]): IngestReply => ({ kind: "results", results: list, kept: true });

describe("the answer to events", () => {
  it("is 204 or 202 without a body when every event is there", () => {
    const reply = results(kept("stored", 0), kept("duplicate", 1));
    expect(ingestReply(reply, 204, null)).toEqual({ status: 204 });
    expect(ingestReply(reply, 202, null)).toEqual({ status: 202 });
  });

  it("lists each event for who prefers it, and echoes the preference", () => {
    expect(ingestReply(results(kept("stored", 0)), 204, "representation")).toMatchObject({
      status: 200,
      body: { stored: 1, duplicates: 0, conflicts: 0, rejected: 0, results: [{ id: "e0", status: "stored" }] },
      headers: { "Preference-Applied": "return=representation" },
    });
    expect(ingestReply(results(kept("stored", 0)), 204, "minimal")).toEqual({
      status: 204,
      headers: { "Preference-Applied": "return=minimal" },
    });
  });

  it("is a problem that says which events were stored when one was not", () => {
    const reply = ingestReply(results(kept("stored", 0), rejected(1), kept("conflict", 2)), 204, null);
    expect(reply).toMatchObject({ status: 400, contentType: "application/problem+json" });
    const problem = JSON.parse(String(reply.body));
    expect(problem).toMatchObject({
      status: 400,
      title: "Bad Request",
      type: "about:blank",
      code: "METER_REQUEST_INVALID",
    });
    expect(problem.detail).toContain("Of 3 events 1 were stored and 0 were there already");
    expect(problem.extensions).toMatchObject({ stored: 1, rejected: 1, conflicts: 1 });
    expect(problem.extensions.validationErrors).toMatchObject([
      { index: 1, pointer: "/1/subject", message: "is missing" },
      { index: 2, pointer: "/2" },
    ]);
    expect(problem.extensions.results).toHaveLength(3);
  });

  it("takes a retry that says something else for the event that is there, as OpenMeter does, and tells it", () => {
    const reply = results(kept("stored", 0), kept("conflict", 1));
    expect(ingestReply(reply, 202, null)).toEqual({ status: 202, headers: { "Meterbook-Conflicts": "1" } });
    expect(ingestReply(reply, 204, "representation")).toMatchObject({
      status: 200,
      body: { stored: 1, conflicts: 1 },
      headers: { "Meterbook-Conflicts": "1", "Preference-Applied": "return=representation" },
    });
  });

  it("is 409 for such an event in a call that is all or nothing", () => {
    const reply = ingestReply(
      { kind: "results", results: [kept("stored", 0), kept("conflict", 1)], kept: false },
      204,
      null,
    );
    expect(reply).toMatchObject({ status: 409 });
    expect(JSON.parse(String(reply.body)).extensions).toMatchObject({ stored: 0, conflicts: 1 });
  });

  it("says of a call that was all or nothing that nothing was stored", () => {
    const reply = ingestReply({ kind: "results", results: [kept("stored", 0), rejected(1)], kept: false }, 204, null);
    const problem = JSON.parse(String(reply.body));
    expect(problem.detail).toContain("Nothing was stored");
    expect(problem.extensions.stored).toBe(0);
  });

  it.each([
    ["content_type", 400],
    ["not_json", 400],
    ["too_large", 413],
    ["too_many", 413],
    ["busy", 503],
  ] as const)("to a call that is refused for %s is %i", (why, status) => {
    const reply = ingestReply({ kind: "refused", why, message: "no" }, 204, null);
    expect(reply).toMatchObject({ status, contentType: "application/problem+json" });
    expect(reply.headers?.["Retry-After"]).toBe(why === "busy" ? "1" : undefined);
  });

  it.each([
    ["return=representation", "representation"],
    ["respond-async, return=minimal", "minimal"],
    ["RETURN=Representation; x=1", "representation"],
    ["respond-async", null],
  ])("hears Prefer: %s", (prefer, preference) => {
    expect(preferenceOf(requestWith({ prefer }))).toBe(preference);
  });

  it("carries the CloudEvents header fields, and no others", () => {
    const headers = { "content-type": "application/json", "ce-id": "1", authorization: "Bearer x" };
    expect(ingestCall(requestWith(headers), new Uint8Array(), true)).toEqual({
      body: new Uint8Array(),
      contentType: "application/json",
      headers: { "ce-id": "1" },
      atomic: true,
      brief: true,
    });
  });

  it("asks of each event only for who wants to be told", () => {
    const headers = { "content-type": "application/json", prefer: "return=representation" };
    expect(ingestCall(requestWith(headers), new Uint8Array(), false).brief).toBe(false);
    const whole = { kind: "whole", stored: 2, duplicates: 1 } as const;
    expect(ingestReply(whole, 204, null)).toEqual({ status: 204 });
    expect(ingestReply(whole, 202, "minimal")).toEqual({
      status: 202,
      headers: { "Preference-Applied": "return=minimal" },
    });
  });
});
