import { describe, expect, it } from "vitest";

import { bucketFold } from "../../../src/core/bucket-fold.ts";
import { countedValues, eventPages } from "../../../src/engine/ingest/refold.ts";
import { queryUsage } from "../../../src/engine/usage/usage-query.ts";
import { memoryStore } from "../../../src/memory/memory-store.ts";
import { calls, catalogOf, chat, DAY, HOUR, MINUTE, START, tokens, world } from "../world.ts";

async function filled() {
  const filledWorld = world({ store: memoryStore({ bucketMs: 15 * MINUTE }), catalog: catalogOf(tokens, calls) });
  await filledWorld.take(
    chat("10", { time: START, model: "small" }),
    chat("0.5", { time: START + 10 * MINUTE, model: "large" }),
    chat("20", { time: START + HOUR, model: "large" }),
    chat("7", { time: START + 30 * DAY, company: "globex" }),
  );
  return filledWorld;
}

const plain = { window: null, groupBy: [] } as const;

describe("queryUsage", () => {
  it("sums per meter and customer, as exact text", async () => {
    const { store, catalog } = await filled();
    const rows = await queryUsage(store, catalog, { ...plain, meter: "chat_tokens" });
    expect(rows).toEqual([
      {
        meter: "chat_tokens",
        customer: "acme",
        from: START,
        to: START + 30 * DAY + 15 * MINUTE,
        value: "30.5",
        events: 3,
        group: {},
      },
      {
        meter: "chat_tokens",
        customer: "globex",
        from: START,
        to: START + 30 * DAY + 15 * MINUTE,
        value: "7",
        events: 1,
        group: {},
      },
    ]);
    expect(await queryUsage(store, catalog, { ...plain, company: "globex" })).toMatchObject([
      { meter: "calls", value: "1" },
      { meter: "chat_tokens", value: "7" },
    ]);
  });

  it("cuts by hour, day and month, and by label", async () => {
    const { store, catalog } = await filled();
    const ask = (window: "hour" | "day" | "month", groupBy: readonly string[] = []) =>
      queryUsage(store, catalog, { meter: "chat_tokens", company: "acme", window, groupBy });
    expect((await ask("hour")).map(({ value }) => value)).toEqual(["10.5", "20"]);
    expect((await ask("day")).map(({ value }) => value)).toEqual(["30.5"]);
    expect((await ask("month", ["model"])).map(({ group, value }) => [group["model"], value])).toEqual([
      ["large", "20.5"],
      ["small", "10"],
    ]);
  });

  it("is exact for bounds that cut a bucket, from the events", async () => {
    const { store, catalog } = await filled();
    const from = START + 5 * MINUTE;
    const to = START + HOUR + 1;
    expect(await queryUsage(store, catalog, { ...plain, meter: "chat_tokens", from, to })).toEqual([
      { meter: "chat_tokens", customer: "acme", from, to, value: "20.5", events: 2, group: {} },
    ]);
    expect(await queryUsage(store, catalog, { ...plain, meter: "chat_tokens", from, to: START + 6 * MINUTE })).toEqual(
      [],
    );
  });

  it("moves a cutting bound outward, and says so, once the bucket's events are purged", async () => {
    const { store, catalog } = await filled();
    for await (const page of eventPages(store)) {
      const fold = bucketFold();
      for (const { seq, event } of page.slice(0, 2))
        fold.add(countedValues({ event, verdicts: catalog.judge(event) }, seq, catalog, store.bucketMs));
      const seqs = page.slice(0, 2).map(({ seq }) => seq);
      expect(await store.purge(seqs, fold.buckets(), 0)).toBe(2);
      break;
    }
    expect(
      await queryUsage(store, catalog, {
        ...plain,
        meter: "chat_tokens",
        from: START + MINUTE,
        to: START + 14 * MINUTE,
      }),
    ).toEqual([
      {
        meter: "chat_tokens",
        customer: "acme",
        from: START,
        to: START + 15 * MINUTE,
        value: "10.5",
        events: 2,
        group: {},
      },
    ]);
  });

  it("names what was perhaps meant", async () => {
    const { store, catalog } = await filled();
    await expect(queryUsage(store, catalog, { ...plain, meter: "chat_token" })).rejects.toMatchObject({
      code: "METER_UNKNOWN_METER",
      message: 'There is no meter "chat_token".  Did you mean "chat_tokens"?',
    });
    await expect(queryUsage(store, catalog, { ...plain, meter: "chat_tokens", groupBy: ["modle"] })).rejects.toThrow(
      'Did you mean "model"?',
    );
  });

  it("still answers for a meter that left the file", async () => {
    const { store } = await filled();
    expect(await queryUsage(store, catalogOf(tokens), { ...plain, meter: "calls", company: "acme" })).toMatchObject([
      { value: "3" },
    ]);
  });
});
