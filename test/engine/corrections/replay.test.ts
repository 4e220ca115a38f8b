import { expect, it } from "vitest";

import type { Catalog } from "../../../src/core/catalog.ts";
import type { MeterDefinition } from "../../../src/core/meter.ts";
import { amendEvent, assignCompany } from "../../../src/engine/ingest/assign.ts";
import { loadCatalog, newestCatalog } from "../../../src/engine/ingest/catalog-versions.ts";
import { correctEvent } from "../../../src/engine/corrections/correct.ts";
import { ingest } from "../../../src/engine/ingest/ingest.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { rebuild } from "../../../src/engine/books/rebuild.ts";
import { replayMeter, type ReplayOrder, type ReplaySummary } from "../../../src/engine/corrections/replay.ts";
import { purgeExpired } from "../../../src/engine/books/retention.ts";
import { queryUsage } from "../../../src/engine/usage/usage-query.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { recordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores, type MakeStore } from "../both-stores.ts";
import { calls, chat, DAY, HOUR, MINUTE, START, tokens, world } from "../world.ts";

/** Counts also what was refused, by another header. */
const edited: MeterDefinition = {
  ...tokens,
  match: [{ path: "request.route", op: "eq", value: "/chat" }],
};
const EDIT = START + 10 * HOUR;

interface Past {
  readonly store: Store;
  readonly catalog: () => Promise<Catalog>;
  readonly take: (...events: Parameters<typeof chat>[]) => Promise<void>;
  readonly replay: (more?: Partial<ReplayOrder>) => Promise<ReplaySummary>;
  readonly usage: (company?: string) => Promise<string | null | undefined>;
  readonly assertWhole: () => Promise<void>;
}

function settings(meters: readonly MeterDefinition[]) {
  return { meters, fields: {}, identity: { unknown: "hold" as const } };
}

/** A store in which chat_tokens counted successes until EDIT, and everything since. */
async function past(make: MakeStore, later: readonly MeterDefinition[] = [calls, edited]): Promise<Past> {
  const store = await make();
  const first = await loadCatalog(store, settings([calls, tokens]), START, { adopt: true });
  const catalog = () => newestCatalog(store, first.catalog);
  const take = async (...events: Parameters<typeof chat>[]) => {
    const taken = events.map((each) => chat(...each));
    await ingest(store, await catalog(), taken, EDIT);
  };
  await take(
    ["5", { id: "a" }],
    ["7", { id: "b", status: 429, time: START + HOUR }],
    ["9", { id: "c", status: 429, time: START + HOUR, company: "globex" }],
    [null, { id: "d", status: 429, time: START + 2 * HOUR }],
    ["11", { id: "e", status: 429, company: null, time: START + 2 * HOUR }],
  );
  await loadCatalog(store, settings(later), EDIT, { adopt: true });
  await take(["1", { id: "z", status: 429, time: EDIT + HOUR }]);
  return {
    store,
    catalog,
    take,
    replay: (more = {}) =>
      replayMeter({
        store,
        meter: "chat_tokens",
        from: START,
        to: null,
        author: "operator:ann",
        cause: "429 is billed too",
        now: EDIT + DAY,
        dryRun: false,
        ...more,
      }),
    usage: async (company = "acme") =>
      (await queryUsage(store, await catalog(), { meter: "chat_tokens", company, window: null, groupBy: [] }))[0]
        ?.value,
    assertWhole: async () => {
      expect((await rebuild(store, await catalog(), { apply: false })).differences).toEqual([]);
      expect(await verify(store, await catalog())).toMatchObject({ ok: true, differences: [] });
    },
  };
}

const refused = { code: "METER_CORRECTION_REFUSED" };

onBothStores("a replay", (make) => {
  it("shows each company's usage before and after, and changes nothing in a dry run", async () => {
    const { store, replay, usage, assertWhole } = await past(make);
    const revision = await store.usageRevision();
    const shown = await replay({ dryRun: true });
    const span = { from: START, to: EDIT, version: 3, events: 5, held: { before: 0, after: 2 } };
    expect(shown).toMatchObject({ meter: "chat_tokens", ...span, applied: false });
    expect(shown.companies).toEqual([
      { company: "acme", before: "5", after: "12", difference: "7", reported: "0", correction: "0" },
      { company: "globex", before: null, after: "9", difference: "9", reported: "0", correction: "0" },
    ]);
    expect(await usage()).toBe("6");
    expect(await store.usageRevision()).toEqual(revision);
    await assertWhole();
  });

  it("judges the past by the newest version from then on, holds included, with author and cause", async () => {
    const { store, replay, take, usage, assertWhole, catalog } = await past(make);
    expect(await replay()).toMatchObject({ applied: true, version: 3 });
    expect(await usage()).toBe("13");
    expect(await usage("globex")).toBe("9");
    const held = await store.held({ order: "oldest", limit: 9 });
    expect(held.map(({ id, meter, reason }) => [id, meter, reason])).toEqual([
      ["d", "chat_tokens", "missing_value"],
      ["e", "calls", "no_company"],
      ["e", "chat_tokens", "no_company"],
    ]);
    expect((await store.meterVersions()).at(-1)).toMatchObject({
      version: 3,
      effectiveFrom: START,
      replayed: { author: "operator:ann", cause: "429 is billed too", at: EDIT + DAY },
    });
    await assertWhole();
    // Late events of the past count by it too, and so do later facts.
    await take(["2", { status: 429, time: START + 3 * HOUR }]);
    expect(await usage()).toBe("15");
    await assignCompany({ store, catalog: await catalog(), id: "e", company: "acme", author: "cli", now: EDIT });
    expect(await usage()).toBe("26");
    await assertWhole();
    await expect(replay()).rejects.toMatchObject(refused);
  });

  it("keeps to the span that it is given", async () => {
    const { replay, usage, assertWhole, take } = await past(make);
    const cut = START + HOUR + 20_000;
    await take(["100", { status: 429, time: cut - 1 }], ["1000", { status: 429, time: cut }]);
    expect(await usage()).toBe("6");
    expect(await replay({ from: cut })).toMatchObject({ from: cut, companies: [{ difference: "1000" }] });
    await assertWhole();
    expect(await replay({ from: START + HOUR + 5, to: cut })).toMatchObject({
      to: cut,
      companies: [{ difference: "100" }],
    });
    await assertWhole();
    expect(await usage()).toBe("1106");
    await take(["50", { status: 429, time: START + 1 }], ["60", { status: 429, time: START + 20 * MINUTE + HOUR }]);
    expect(await usage()).toBe("1166");
    await assertWhole();
  });

  it("does not count anew what was voided, and lets what it counts be corrected", async () => {
    const { store, replay, usage, assertWhole, catalog } = await past(make);
    const void1 = async (id: string) =>
      correctEvent({
        store,
        catalog: await catalog(),
        id,
        instead: null,
        author: "o",
        cause: "c",
        now: EDIT,
        dryRun: false,
      });
    await void1("b");
    await replay();
    expect(await usage()).toBe("6");
    await assertWhole();
    await void1("a");
    expect(await usage()).toBe("1");
    await assertWhole();
  });

  it("gives a meter that an amendment counted before back to a later one", async () => {
    const { store, replay, catalog, assertWhole } = await past(make, [
      calls,
      { ...tokens, value: "metadata.tokens", match: [] },
    ]);
    const name = { source: "test", id: "late" };
    const { metadata: _metadata, ...event } = chat("5", { id: "late", company: null, time: START + HOUR });
    await ingest(store, await catalog(), [event], EDIT);
    await assignCompany({ store, catalog: await catalog(), id: "late", company: "acme", author: "cli", now: EDIT });
    await replay();
    await assertWhole();
    const fact = { ...name, closes: "end", metadata: { tokens: 8 } } as const;
    expect(await amendEvent(store, await catalog(), fact, "journal", EDIT)).toBe(true);
    expect((await store.buckets({ meter: "chat_tokens", company: "acme" })).map(({ state }) => state.value)).toEqual([
      8_000_000_000_000n,
    ]);
    await assertWhole();
  });

  it("refuses what cannot be: no such meter, one that has ended, nothing older, deleted events", async () => {
    const { store, replay, catalog } = await past(make, [edited]);
    await expect(replay({ meter: "chat_token" })).rejects.toMatchObject({ code: "METER_UNKNOWN_METER" });
    await expect(replay({ meter: "calls" })).rejects.toMatchObject(refused);
    await expect(replay({ from: EDIT })).rejects.toMatchObject(refused);
    await expect(replay({ from: START, to: START })).rejects.toMatchObject(refused);
    const purging = {
      storage: { path: "", keepEventsMs: HOUR, durability: "process" as const },
      billing: { stripe: null },
    };
    expect(await purgeExpired(store, await catalog(), purging, START + 2 * HOUR + 30 * MINUTE)).toBe(3);
    const kept = new Date(START + HOUR + MINUTE).toISOString();
    await expect(replay({ dryRun: true })).rejects.toMatchObject({ ...refused, remedy: expect.stringContaining(kept) });
    expect(await replay({ from: START + HOUR + MINUTE, dryRun: true })).toMatchObject({ events: 2 });
  });

  it("waits out usage that arrives meanwhile, and gives up when it does each time", async () => {
    const { store, replay, take, usage, assertWhole } = await past(make);
    let left = 3;
    const racing: Store = {
      ...store,
      replay: async (asked) => {
        if (left-- > 0) await take(["10", { status: 429, time: START + HOUR }]);
        return store.replay(asked);
      },
    };
    expect(await replay({ store: racing })).toMatchObject({ events: 8, companies: [{ after: "42" }, {}] });
    expect(await usage()).toBe("43");
    await assertWhole();
    const other = await past(make);
    const busy: Store = {
      ...other.store,
      replay: async (asked) => {
        await other.take(["1", { status: 200 }]);
        return other.store.replay(asked);
      },
    };
    await expect(other.replay({ store: busy })).rejects.toMatchObject({ code: "METER_STORE_BUSY" });
    await other.assertWhole();
  });

  it("lets nothing be written that was computed by the versions of before", async () => {
    const { store, replay, catalog, usage, assertWhole } = await past(make);
    const old = await catalog();
    const racing: Store = {
      ...store,
      replaceBuckets: async (...asked) => {
        await replay();
        return store.replaceBuckets(...asked);
      },
    };
    const spoiled = (await store.buckets({})).filter(({ meter }) => meter !== "calls");
    await store.replaceBuckets(spoiled, await store.usageRevision());
    await expect(rebuild(racing, old, { apply: true })).rejects.toMatchObject({ code: "METER_METERS_CHANGED" });
    await expect(ingest(store, old, [chat("1")], EDIT)).rejects.toMatchObject({ code: "METER_METERS_CHANGED" });
    const purging = {
      storage: { path: "", keepEventsMs: 1, durability: "process" as const },
      billing: { stripe: null },
    };
    await expect(purgeExpired(store, old, purging, EDIT)).rejects.toMatchObject({ code: "METER_METERS_CHANGED" });
    expect(await usage()).toBe("13");
    await rebuild(store, await catalog(), { apply: true });
    await assertWhole();
  });

  it("corrects what was reported by the next reports of its windows", async () => {
    const { store, replay, catalog, take, assertWhole } = await past(make);
    await take(["3", { time: START + HOUR }]);
    const reporter = recordingReporter({ customers: { acme: "cus_1", globex: "cus_2" } });
    const own = world({ store, catalog: await catalog() });
    own.clock.set(EDIT + 3 * HOUR);
    await own.round(reporter);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("9");
    const { companies } = await replay();
    expect(companies).toEqual([
      { company: "acme", before: "8", after: "15", difference: "7", reported: "8", correction: "7" },
      { company: "globex", before: null, after: "9", difference: "9", reported: "0", correction: "0" },
    ]);
    await world({ store, catalog: await catalog() }).round(reporter, { clock: own.clock, catalog: await catalog() });
    expect(reporter.total("chat_tokens", "cus_1")).toBe("16");
    expect(reporter.total("chat_tokens", "cus_2")).toBe("9");
    await assertWhole();
  });
});
