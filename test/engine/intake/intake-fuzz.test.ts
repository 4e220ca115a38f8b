import * as fc from "fast-check";
import { expect, it } from "vitest";

import { canonicalEvent } from "../../../src/core/event-rules.ts";
import { parseExactJson } from "../../../src/core/exact-json.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { acceptEvents } from "../../../src/engine/intake/accept.ts";
import { findListedEvent, listEvents } from "../../../src/engine/intake/event-list.ts";
import { onBothStores } from "../both-stores.ts";
import { START } from "../world.ts";
import { cloudEvent, owners, resultsOf, sentCatalog, sentTokens, textCall } from "./intake-world.ts";

const catalog = sentCatalog(
  { ...sentTokens, allowNegative: true },
  { ...sentTokens, key: "models", aggregate: "unique", value: "data.model", eventType: null },
);
const nobody = owners({});

/** Numbers as they may be written, and texts that look like them. */
const literals = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((double) => JSON.stringify(double)),
  fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }).map(String),
  fc.constantFrom(
    "-0",
    "1e400",
    "1E-30",
    "0.1234567890123456789",
    '"1e2"',
    "null",
    "true",
    '""',
    "[]",
    '{"__proto__":1}',
  ),
  fc.string({ unit: "binary" }).map((text) => JSON.stringify(text)),
);
const names = fc.oneof(fc.constantFrom("tokens", "model", "__proto__", "constructor", "a.b", ""), fc.string());
const contents = fc
  .array(fc.tuple(names, literals), { maxLength: 5 })
  .map((members) => `{${members.map(([name, literal]) => `${JSON.stringify(name)}:${literal}`).join(",")}}`);
/** Mostly what is right: what is rejected is never stored, and proves little. */
function mostly<Value>(right: fc.Arbitrary<Value>, wrong: fc.Arbitrary<Value>): fc.Arbitrary<Value> {
  return fc.oneof({ arbitrary: right, weight: 9 }, { arbitrary: wrong, weight: 1 });
}
const words = fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 });
const times = fc.constantFrom("2026-11-22T10:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z");
const parts = fc.record(
  {
    subject: mostly(words, fc.string({ unit: "binary" })),
    type: mostly(fc.oneof(fc.constant("prompt"), words), fc.string()),
    source: mostly(words, fc.string({ unit: "binary" })),
    time: mostly(times, fc.string()),
    traceid: mostly<unknown>(words, fc.jsonValue()),
    dataschema: mostly<unknown>(words, fc.jsonValue()),
  },
  { requiredKeys: [] },
);

onBothStores("whatever is sent", (make) => {
  it("is stored and read back exactly, or rejected with reasons; nothing breaks", { timeout: 120_000 }, async () => {
    const store = await make();
    let run = 0;
    const property = fc.asyncProperty(parts, contents, async (attributes, content) => {
      run += 1;
      const id = `e${run}`;
      const envelope = JSON.stringify(cloudEvent({ id, ...attributes, data: "CONTENT" }));
      const call = textCall(`[${envelope.replace('"CONTENT"', () => content)}]`);
      const [reply] = await acceptEvents(store, catalog, nobody, [call], START);
      const [result] = resultsOf(reply);
      const listed = await findListedEvent(store, catalog, nobody, { id });
      const isTold = result?.status === "rejected" && result.problems.length > 0;
      expect(isTold ? "rejected" : result?.status).toBe(listed === null ? "rejected" : "stored");
      if (isTold) return;
      const event = listed?.listed.event;
      if (event?.data === undefined) throw new Error("a stored event is listed with its content");
      expect(JSON.stringify(event.data)).toBe(JSON.stringify(parseExactJson(content)));
      const [again] = await acceptEvents(store, catalog, nobody, [call], START + 1);
      expect(resultsOf(again)).toMatchObject([{ status: "duplicate" }]);
      expect(canonicalEvent(event)).toContain(JSON.stringify(id));
    });
    expect(await fc.check(property, { numRuns: 300 })).toMatchObject({ failed: false, errorInstance: null });
    const { events } = await store.counts();
    let seen = 0;
    let cursor: string | undefined;
    do {
      const page = await listEvents(store, catalog, nobody, { limit: 50, ...(cursor === undefined ? {} : { cursor }) });
      seen += page.events.length;
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toBe(events);
    expect(events).toBeGreaterThan(100);
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });
});
