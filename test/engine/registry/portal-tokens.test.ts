import { expect, it } from "vitest";

import { limits } from "../../../src/engine/limits.ts";
import {
  createPortalToken,
  endPortalTokens,
  findPortalToken,
  listPortalTokens,
} from "../../../src/engine/registry/portal-tokens.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { systemRandom } from "../../../src/runtime/system.ts";
import { onBothStores } from "../both-stores.ts";
import { START } from "../world.ts";

const HOUR = 3_600_000;

const made = (store: Store, subject: string, now = START, meters: readonly string[] | null = null) =>
  createPortalToken(store, { subject, meters, expiresInMs: HOUR, author: "key:x" }, { now, random: systemRandom });

onBothStores("portal tokens", (make) => {
  it("open what they name until they expire, and not a millisecond longer", async () => {
    const store = await make();
    const { text, id } = await made(store, "s1", START, ["tokens_total"]);
    const wanted = { id, subject: "s1", meters: ["tokens_total"], createdAt: START, expiresAt: START + HOUR };
    expect(await findPortalToken(store, { text }, START + HOUR - 1)).toEqual(wanted);
    expect(await findPortalToken(store, { text }, START + HOUR)).toBeNull();
  });

  it("are kept as a digest alone, also in their history", async () => {
    const store = await make();
    const { text, id } = await made(store, "s1");
    const kept = JSON.stringify([
      await store.getEntry("portal_token", id),
      await store.entryHistory("portal_token", id),
      await listPortalTokens(store, { limit: 10 }),
    ]);
    expect(kept).not.toContain(text);
    expect(kept).not.toContain(text.slice(4));
  });

  it.each(["", "mbp_", "Bearer", `mbp_${"A".repeat(43)}`, `mbp_${"A".repeat(4_000)}`])(
    "%j opens nothing",
    async (text) => {
      const store = await make();
      await made(store, "s1");
      expect(await findPortalToken(store, { text }, START)).toBeNull();
    },
  );

  it("end at once by id, or all of a subject, and of nobody else", async () => {
    const store = await make();
    const tokens = [await made(store, "a"), await made(store, "a"), await made(store, "a"), await made(store, "b")];
    const isGood = () =>
      Promise.all(tokens.map(async ({ text }) => (await findPortalToken(store, { text }, START)) !== null));
    await endPortalTokens(store, { id: tokens[1]?.id ?? "", author: "key:x" }, START);
    expect(await isGood()).toEqual([true, false, true, true]);
    await endPortalTokens(store, { subject: "a", author: "key:x" }, START);
    expect(await isGood()).toEqual([false, false, false, true]);
    await endPortalTokens(store, { id: "nobody", author: "key:x" }, START);
    expect(await isGood()).toEqual([false, false, false, true]);
  });

  it("are listed newest first", async () => {
    const store = await make();
    for (const [at, subject] of ["a", "b", "c"].entries()) await made(store, subject, START + at);
    expect((await listPortalTokens(store, { limit: 2 })).map(({ subject }) => subject)).toEqual(["c", "b"]);
  });

  it("that have expired are cleared when another is made", async () => {
    const store = await make();
    const { id } = await made(store, "old");
    await made(store, "new", START + HOUR);
    expect((await listPortalTokens(store, { limit: 10 })).map(({ subject }) => subject)).toEqual(["new"]);
    expect((await store.getEntry("portal_token", id))?.deletedAt).toBe(START + HOUR);
  });

  it("name a subject, and not too many meters", async () => {
    const store = await make();
    await expect(made(store, "")).rejects.toMatchObject({ code: "METER_REQUEST_INVALID" });
    const meters = Array.from({ length: limits.portalTokenMetersMax + 1 }, (_, at) => `m${at}`);
    await expect(made(store, "s", START, meters)).rejects.toMatchObject({ mistakes: [{ pointer: "/meters" }] });
  });
});
