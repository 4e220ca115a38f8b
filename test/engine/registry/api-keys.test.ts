import { describe, expect, it } from "vitest";

import {
  createApiKey,
  getApiKey,
  listApiKeys,
  loadKeyRing,
  noteKeysUsed,
  revokeApiKey,
} from "../../../src/engine/registry/api-keys.ts";
import { isSameDigest, newKeyText, readKeyText } from "../../../src/engine/registry/key-text.ts";
import { systemRandom } from "../../../src/runtime/system.ts";
import { onBothStores } from "../both-stores.ts";
import { START } from "../world.ts";

const by = { now: START, random: systemRandom };
const author = "operator:ann";
const ingestKey = { draft: { name: "gateway", scopes: ["ingest"] }, author } as const;

describe("the text of a key", () => {
  it("holds 256 random bits, a public prefix and a checksum", () => {
    const text = newKeyText(systemRandom);
    expect(text).toMatch(/^mb_[a-z0-9]{8}_[A-Za-z0-9_-]{43}[0-9a-f]{6}$/);
    expect(readKeyText(text)?.prefix).toBe(text.slice(3, 11));
    expect(newKeyText(systemRandom)).not.toBe(text);
  });

  it("is refused when a single character of it is another one", () => {
    const text = newKeyText(systemRandom);
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === "x" ? "y" : "x";
      expect(readKeyText(text.slice(0, at) + other + text.slice(at + 1))).toBeNull();
    }
  });

  it.each(["", "mb_", "mb_abcdefgh_short123456", "Bearer mb_", "mb_abcdefgh_".padEnd(100_000, "a")])(
    "is not %j",
    (text) => expect(readKeyText(text)).toBeNull(),
  );

  it("compares digests of any lengths without failing", () => {
    expect(isSameDigest(Buffer.from("aa", "hex"), Buffer.from("aabb", "hex"))).toBe(false);
    expect(isSameDigest(Buffer.from("aa", "hex"), Buffer.from("aa", "hex"))).toBe(true);
    expect(isSameDigest(Buffer.from("aa", "hex"), Buffer.from("ab", "hex"))).toBe(false);
  });
});

onBothStores("keys", (make) => {
  it("are kept as digests: the secret is nowhere in the store", async () => {
    const store = await make();
    const { key, text } = await createApiKey(store, ingestKey, by);
    expect(key).toEqual({
      id: text.slice(3, 11),
      name: "gateway",
      scopes: ["ingest"],
      expiresAt: null,
      limits: { requestsPerSecond: null, burst: null, bytesPerSecond: null },
      createdAt: START,
      revokedAt: null,
      lastUsedAt: null,
    });
    const secret = text.slice(12, 55);
    const kept = JSON.stringify([
      await store.listEntries({ kind: "api_key", limit: 10 }),
      await store.entryHistory("api_key", key.id),
      await loadKeyRing(store, { known: null }),
    ]);
    expect(kept).toContain(key.id);
    expect(kept).not.toContain(secret);
    expect(kept).not.toContain(text);
  });

  it("are told with their digests to who checks calls, and only when they changed", async () => {
    const store = await make();
    expect(await loadKeyRing(store, { known: null })).toEqual({ revision: 0, keys: [] });
    expect(await loadKeyRing(store, { known: 0 })).toBeNull();
    const { text } = await createApiKey(store, ingestKey, by);
    const ring = await loadKeyRing(store, { known: 0 });
    const digest = readKeyText(text)?.digest;
    expect(ring?.keys.map((key) => key.digest)).toEqual([Buffer.from(digest ?? []).toString("hex")]);
    expect(await loadKeyRing(store, { known: ring?.revision ?? -1 })).toBeNull();
  });

  it("end when they are revoked, once and for all, with author and time", async () => {
    const store = await make();
    const { key } = await createApiKey(store, ingestKey, by);
    const revoked = await revokeApiKey(store, { id: key.id, author: "operator:bob" }, START + 5);
    expect(revoked).toMatchObject({ id: key.id, name: "gateway", revokedAt: START + 5 });
    expect(await revokeApiKey(store, { id: key.id, author }, START + 9)).toEqual(revoked);
    expect((await loadKeyRing(store, { known: null }))?.keys).toEqual([]);
    expect(await listApiKeys(store, { includeRevoked: false, limit: 10 })).toEqual([]);
    expect(await listApiKeys(store, { includeRevoked: true, limit: 10 })).toEqual([revoked]);
    const history = await store.entryHistory("api_key", key.id);
    expect(history.map((line) => line.author)).toEqual(["operator:ann", "operator:bob"]);
  });

  it("are revoked by two people at once without a fault", async () => {
    const store = await make();
    const { key } = await createApiKey(store, ingestKey, by);
    const both = await Promise.all([1, 2].map((at) => revokeApiKey(store, { id: key.id, author }, START + at)));
    expect(both[0]).toEqual(both[1]);
    expect(await store.entryHistory("api_key", key.id)).toHaveLength(2);
  });

  it("say when they were last used, without a line of history", async () => {
    const store = await make();
    const { key } = await createApiKey(store, ingestKey, by);
    const revision = await store.registerRevision("api_key");
    await noteKeysUsed(store, { used: [{ id: key.id, at: START + 60_000 }] });
    expect(await getApiKey(store, { id: key.id })).toMatchObject({ lastUsedAt: START + 60_000 });
    expect(await store.registerRevision("api_key")).toBe(revision);
  });

  it("draw another prefix when one is taken", async () => {
    const store = await make();
    let drawn = 0;
    // The first two prefixes are the same.
    const random = (size: number): Uint8Array => (size === 8 && drawn++ < 2 ? new Uint8Array(8) : systemRandom(size));
    const first = await createApiKey(store, ingestKey, { now: START, random });
    const second = await createApiKey(store, ingestKey, { now: START, random });
    expect(first.key.id).toBe("aaaaaaaa");
    expect(second.key.id).not.toBe(first.key.id);
  });

  it.each([
    [{ name: " ", scopes: ["read"] }, "/name"],
    [{ name: "x", scopes: [] }, "/scopes"],
    [{ name: "x", scopes: ["read"], expiresAt: START }, "/expiresAt"],
    [{ name: "x", scopes: ["read"], limits: { burst: 0 } }, "/limits/burst"],
  ] as const)("are not made of %j", async (draft, pointer) => {
    const store = await make();
    await expect(createApiKey(store, { draft, author }, by)).rejects.toMatchObject({
      code: "METER_REQUEST_INVALID",
      mistakes: [{ pointer }],
    });
    expect(await store.countEntries("api_key")).toBe(0);
  });

  it("that nobody made are not found", async () => {
    const store = await make();
    const missing = { code: "METER_NOT_FOUND" };
    await expect(getApiKey(store, { id: "zzzzzzzz" })).rejects.toMatchObject(missing);
    await expect(revokeApiKey(store, { id: "zzzzzzzz", author }, START)).rejects.toMatchObject(missing);
  });
});
