import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { amend } from "../../src/capture/amendment.ts";
import type { CaptureContext } from "../../src/capture/context.ts";
import { eventText, type ExchangeFacts } from "../../src/capture/describe.ts";
import { quote, stringsObject } from "../../src/capture/json-text.ts";
import { newCounters } from "../../src/capture/stats.ts";
import { HOLD_REASONS, type HoldReason } from "../../src/core/event.ts";
import { ArrayRecorder, untyped } from "./rig.ts";

// Every code unit, lone surrogates, quotes and control characters included.
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) }),
  fc.constantFrom("__proto__", "constructor", '"', "\\", "\u2028", "\ud800"),
);
const nullable = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { nil: null });
const names = (value: fc.Arbitrary<string | string[]>) => fc.dictionary(text, value, { noNullPrototype: false });
const headers = nullable(names(fc.oneof(text, fc.array(text))));
const jsonText = fc.jsonValue().map((value) => JSON.stringify(value));
const body = fc.record({ json: nullable(jsonText), fault: fc.constant(null) });
const faults: fc.Arbitrary<Record<string, HoldReason>> = fc.dictionary(text, fc.constantFrom(...HOLD_REASONS), {
  noNullPrototype: false,
});

const facts: fc.Arbitrary<ExchangeFacts> = fc.record({
  id: text,
  time: fc.maxSafeNat(),
  company: nullable(text),
  user: nullable(text),
  method: text,
  path: text,
  route: nullable(text),
  requestHeaders: headers,
  query: headers,
  params: nullable(fc.dictionary(text, text, { noNullPrototype: false })),
  requestBody: body,
  status: nullable(fc.integer({ min: 100, max: 999 })),
  responseHeaders: headers,
  responseBody: body,
  metadata: nullable(jsonText),
  values: nullable(fc.dictionary(text, text, { noNullPrototype: false })),
  durationMs: fc.nat(),
  isAborted: fc.boolean(),
  sessionToken: nullable(text),
  apiVersion: nullable(text),
  faults: nullable(faults),
});

const part = (name: string, value: unknown): object => (value === null ? {} : { [name]: value });
const parsed = (name: string, json: string | null): object => (json === null ? {} : { [name]: JSON.parse(json) });

/** The slow and obvious way: an object, left to JSON. */
function asObject(source: string, given: ExchangeFacts): unknown {
  return JSON.parse(
    JSON.stringify({
      source,
      id: given.id,
      type: "http.request",
      time: given.time,
      company: given.company,
      user: given.user,
      request: {
        method: given.method,
        path: given.path,
        route: given.route,
        ...part("headers", given.requestHeaders),
        ...part("query", given.query),
        ...part("params", given.params),
        ...parsed("body", given.requestBody.json),
      },
      response: {
        ...part("status", given.status),
        ...part("headers", given.responseHeaders),
        ...parsed("body", given.responseBody.json),
      },
      ...parsed("metadata", given.metadata),
      ...part("values", given.values),
      durationMs: given.durationMs,
      ...(given.isAborted ? { aborted: true } : {}),
      ...part("sessionToken", given.sessionToken),
      ...part("apiVersion", given.apiVersion),
      ...part("faults", given.faults),
    }),
  );
}

describe("event text", () => {
  it("quotes as JSON does", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          text,
          text.map((unit) => unit.repeat(20)),
        ),
        (value) => {
          expect(quote(value)).toBe(JSON.stringify(value));
        },
      ),
    );
  });

  it("writes objects of strings that read back the same", () => {
    fc.assert(
      fc.property(names(fc.oneof(text, fc.array(text))), (value) => {
        expect(JSON.parse(stringsObject(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it("reads back as the event that JSON.stringify would have written", () => {
    fc.assert(
      fc.property(text, facts, (source, given) => {
        expect(JSON.parse(eventText(source, given))).toEqual(asObject(source, given));
      }),
    );
  });

  it("writes no line break and no raw control character, so that a line stays a line", () => {
    fc.assert(
      fc.property(facts, (given) => {
        expect(eventText("s", given)).not.toMatch(/[\n\r\t\v]/);
      }),
    );
  });

  it("writes amendments that read back the same", () => {
    const recorder = new ArrayRecorder();
    const context: CaptureContext = untyped({ recorder, source: 'a"b', counters: newCounters() });
    const amendment = fc.record(
      {
        closes: fc.constantFrom("identity" as const, "end" as const),
        company: text,
        user: text,
        aborted: fc.boolean(),
        faults,
      },
      { requiredKeys: ["closes"] },
    );
    fc.assert(
      fc.property(text, amendment, (id, given) => {
        amend(context, id, given);
        expect(recorder.amendments.at(-1)).toEqual(JSON.parse(JSON.stringify({ source: 'a"b', id, ...given })));
        recorder.lines.length = 0;
      }),
    );
  });
});
