import * as fc from "fast-check";
import { expect, it } from "vitest";

import { HOLD_REASONS, type HeaderValues, type Json, type UsageEvent } from "../../src/core/event.ts";
import { tempStore } from "./temp-store.ts";

/** Texts as a journal line can bring them: all of Unicode, lone surrogates and NUL too. */
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom("", "\ud800", "\u0000", "\u0001", '\u0001"x"', "__proto__"),
);
const json = fc.jsonValue().map((value): Json => JSON.parse(JSON.stringify(value)));
const dictionary = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Record<string, Value>> =>
  fc.dictionary(text, value, { maxKeys: 3, noNullPrototype: true });
const headers: fc.Arbitrary<HeaderValues> = dictionary(fc.oneof(text, fc.array(text, { maxLength: 3 })));
const path = fc.oneof(fc.constantFrom("/a", "/b/:id"), text);

const request = fc.record(
  { method: text, path, route: fc.option(path), headers, query: headers, params: dictionary(text), body: json },
  { requiredKeys: [] },
);
const response = fc.record({ status: fc.integer({ min: 0, max: 999 }), headers, body: json }, { requiredKeys: [] });

const event: fc.Arbitrary<UsageEvent> = fc.record(
  {
    source: text,
    id: text,
    type: text,
    time: fc.maxSafeInteger(),
    recordedAt: fc.maxSafeInteger(),
    company: fc.option(text),
    user: fc.option(text),
    request,
    response,
    metadata: json,
    values: dictionary(text),
    durationMs: fc.double({ min: 0.001, max: 1e9, noNaN: true }),
    aborted: fc.boolean(),
    sessionToken: text,
    apiVersion: text,
    faults: dictionary(fc.constantFrom(...HOLD_REASONS)),
  },
  { requiredKeys: ["source", "id", "type", "time", "company", "user"] },
);

it("brings back any event as it was, also after the file was opened anew", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(event, {
        minLength: 1,
        maxLength: 80,
        selector: ({ source, id }) => JSON.stringify([source, id]),
      }),
      async (events) => {
        const made = await tempStore();
        try {
          const statuses = await made.store.ingest(
            events.map((each) => ({ event: each, counts: [], holds: [] })),
            0,
          );
          expect(statuses).toEqual(events.map(() => "stored"));
          await made.store.close();
          const again = await made.reopen();
          const found = await again.events({ order: "oldest", limit: 1_000 });
          expect(found.map(({ event: each }) => each)).toEqual(events);
          // Sent once more they are the same, not a conflict: comparing goes through what was stored.
          expect(
            new Set(
              await again.ingest(
                events.map((each) => ({ event: each, counts: [], holds: [] })),
                0,
              ),
            ),
          ).toEqual(new Set(["duplicate"]));
          await again.close();
        } finally {
          await made.dispose();
        }
      },
    ),
    { numRuns: 60, seed: 7 },
  );
});
