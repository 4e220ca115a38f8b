import { describe, expect, it } from "vitest";

import { memoryStore } from "../../src/memory/memory-store.ts";
import { storeSuite, STORE_SUITE_BUCKET_MS } from "../../src/testing/store-suite.ts";
import { aCount, anEvent, counted, HOUR } from "../../src/testing/store-suite/store-case.ts";

storeSuite(
  "memory store",
  async () => ({ store: memoryStore({ bucketMs: STORE_SUITE_BUCKET_MS }), dispose: async () => undefined }),
  { describe, it, expect },
);

describe("memory store", () => {
  it("keeps nothing of a batch that it cannot count", async () => {
    const store = memoryStore({ bucketMs: STORE_SUITE_BUCKET_MS });
    const event = anEvent({ id: "b" });
    const wrong = { event, counts: [aCount(event, { value: "text" })], holds: [] };
    await expect(store.ingest([counted({ id: "a" }, 1), wrong], HOUR)).rejects.toThrow(TypeError);
    expect([await store.buckets({}), await store.events({ order: "oldest", limit: 9 })]).toEqual([[], []]);
    expect(await store.ingest([counted({ id: "a" }, 1)], HOUR)).toEqual(["stored"]);
  });
});
