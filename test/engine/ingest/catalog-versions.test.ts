import { describe, expect, it } from "vitest";

import type { Catalog } from "../../../src/core/catalog.ts";
import type { MeterDefinition } from "../../../src/core/meter.ts";
import { amendEvent } from "../../../src/engine/ingest/assign.ts";
import { loadCatalog, newestCatalog, type MeterSettings } from "../../../src/engine/ingest/catalog-versions.ts";
import { ingest } from "../../../src/engine/ingest/ingest.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { purgeExpired } from "../../../src/engine/books/retention.ts";
import { rebuild } from "../../../src/engine/books/rebuild.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { memoryStore } from "../../../src/memory/memory-store.ts";
import { calls, chat, DAY, HOUR, MINUTE, START, tokens } from "../world.ts";

const APP = { adopt: true };
const COMMAND = { adopt: false };
const newStore = (): Store => memoryStore({ bucketMs: MINUTE });

function settings(meters: readonly MeterDefinition[], changes: Partial<MeterSettings> = {}): MeterSettings {
  return { meters, fields: {}, identity: { unknown: "hold" }, ...changes };
}

async function app(store: Store, wanted: MeterSettings, now: number): Promise<Catalog> {
  return (await loadCatalog(store, wanted, now, APP)).catalog;
}

/** Rebuild changes nothing and every sum matches. */
async function expectSound(store: Store, catalog: Catalog): Promise<void> {
  expect(await rebuild(store, catalog, { apply: true })).toMatchObject({ differences: [], applied: false });
  expect(await verify(store, catalog)).toMatchObject({ ok: true, differences: [] });
}

describe("an app's configuration", () => {
  it("keeps the old version of an edited meter for events before the edit", async () => {
    const store = newStore();
    await app(store, settings([tokens]), START);
    const edited = await app(store, settings([{ ...tokens, match: [] }]), START + HOUR);
    expect(await store.meterVersions()).toMatchObject([
      { version: 1, effectiveFrom: 0 },
      { version: 2, effectiveFrom: START + HOUR },
    ]);
    expect(edited.judge(chat("1", { route: "/other", time: START }))).toEqual([]);
    expect(edited.judge(chat("1", { route: "/other", time: START + HOUR }))).toMatchObject([
      { kind: "counted", version: 2 },
    ]);
    await app(store, settings([{ ...tokens, match: [] }]), START + 2 * HOUR);
    expect(await store.meterVersions()).toHaveLength(2);
  });

  it("refuses another aggregate and names the way out; commands go on", async () => {
    const store = newStore();
    await app(store, settings([tokens]), START);
    const changed = settings([{ ...tokens, aggregate: "max", report: false }]);
    await expect(app(store, changed, START)).rejects.toMatchObject({
      code: "METER_AGGREGATE_CHANGED",
      remedy: expect.stringContaining("aggregate: sum"),
    });
    expect((await loadCatalog(store, changed, START, COMMAND)).differs).toEqual(["chat_tokens"]);
  });

  it("refuses a meter whose key, or whose name at the biller, a meter of the API has; commands go on", async () => {
    const store = newStore();
    await app(store, settings([calls]), START);
    const api = { definition: { ...tokens, key: "sent", reportAs: "sent" }, version: 1, effectiveFrom: START };
    expect(await store.addMeterVersions([{ ...api, origin: "api" }], 1)).toBe(true);
    for (const [key, sentence] of [
      ["sent", "The configuration has a meter sent, and a meter of that key was made over the API."],
      ["other", "The configuration reports its meter other under the name of the meter sent, which was made over"],
    ] as const) {
      const wanted = settings([calls, { ...tokens, key, reportAs: "sent" }]);
      await expect(app(store, wanted, START + HOUR)).rejects.toMatchObject({
        code: "METER_CONFLICT",
        message: expect.stringContaining(sentence),
        remedy: expect.stringContaining("delete sent over the API"),
      });
      expect((await loadCatalog(store, wanted, START, COMMAND)).differs).toEqual([key]);
    }
    expect(await store.meterVersions()).toHaveLength(2);
    const later = await app(store, settings([]), START + HOUR);
    expect((await store.meterVersions()).map(({ ended, origin }) => [ended, origin])).toEqual([
      [undefined, undefined],
      [undefined, "api"],
      [true, undefined],
    ]);
    expect([later.definitionAt("sent", START + DAY)?.key, later.definitionAt("calls", START + DAY)]).toEqual([
      "sent",
      null,
    ]);
  });

  it("begins after every event that was counted, whatever its clock says", async () => {
    const store = newStore();
    const before = await app(store, settings([tokens]), START);
    await ingest(store, before, [chat("5", { time: START + HOUR + 7 })], START + HOUR + 7);
    const after = await app(store, settings([]), START + HOUR);
    expect((await store.meterVersions()).at(-1)).toMatchObject({ effectiveFrom: START + HOUR + 8, ended: true });
    await expectSound(store, after);
  });

  it("is adopted wholly by each of two apps that start at once", async () => {
    const store = newStore();
    await app(store, settings([tokens]), START);
    const edits = [{ match: [] }, { value: "metadata.n" }, { groupBy: {} }].map((edit) => ({ ...tokens, ...edit }));
    await Promise.all(edits.map((meter) => app(store, settings([meter, calls]), START + HOUR)));
    const versions = (await store.meterVersions()).filter(({ definition }) => definition.key === tokens.key);
    expect(versions.map(({ version }) => version)).toEqual([1, 2, 3, 4]);
    expect(new Set(versions.map(({ effectiveFrom }) => effectiveFrom)).size).toBe(4);
    const catalogs = await Promise.all(edits.map(() => loadCatalog(store, settings([]), START, COMMAND)));
    expect(new Set(catalogs.map(({ catalog }) => catalog.revision))).toEqual(new Set([5]));
  });
});

describe("a command", () => {
  it("counts by what is stored and says what the file has otherwise", async () => {
    const store = newStore();
    await app(store, settings([tokens, calls]), START);
    const file = settings([
      { ...tokens, match: [] },
      { ...calls, key: "more" },
    ]);
    const { catalog, differs } = await loadCatalog(store, file, START + HOUR, COMMAND);
    expect([...differs].toSorted()).toEqual(["calls", "chat_tokens", "more"]);
    expect(await store.meterVersions()).toHaveLength(2);
    expect(catalog.judge(chat("1", { route: "/other", time: START + DAY }))).toMatchObject([{ meter: "calls" }]);
    expect((await loadCatalog(store, settings([tokens, calls]), START, COMMAND)).differs).toEqual([]);
  });

  it("adopts the file where nothing is stored", async () => {
    const store = newStore();
    const { catalog, differs } = await loadCatalog(store, settings([tokens]), START, COMMAND);
    expect(differs).toEqual([]);
    expect(catalog.revision).toBe(1);
    expect(await store.meterVersions()).toMatchObject([{ version: 1, effectiveFrom: 0 }]);
  });
});

describe("meters that another process changed", () => {
  it("stop whoever counts, verifies or rebuilds by the old ones", async () => {
    const store = newStore();
    const old = await app(store, settings([tokens]), START);
    await ingest(store, old, [chat("5", { id: "a", company: null })], START);
    await app(store, settings([{ ...tokens, match: [] }]), START + HOUR);
    const changed = { code: "METER_METERS_CHANGED" };
    await expect(ingest(store, old, [chat("5")], START)).rejects.toMatchObject(changed);
    const assignment = { source: "test", id: "a", closes: "identity", company: "acme" } as const;
    await expect(amendEvent(store, old, assignment, "cli", START)).rejects.toMatchObject(changed);
    await expect(verify(store, old)).rejects.toMatchObject(changed);
    await expect(rebuild(store, old, { apply: true })).rejects.toMatchObject(changed);
    expect((await store.counts()).events).toBe(1);
    const newest = await newestCatalog(store, old);
    expect(newest.revision).toBe(2);
    expect(await newestCatalog(store, newest)).toBe(newest);
    expect(await amendEvent(store, newest, assignment, "cli", START)).toBe(true);
    await expectSound(store, newest);
  });
});

describe("the past", () => {
  const summed: MeterDefinition = { ...tokens, match: [], value: "fields.used" };
  const used = (text: string): MeterSettings => settings([summed], { fields: { used: text } });

  it("is not judged anew when a computed field is edited", async () => {
    const store = newStore();
    const first = await app(store, used("number(response.headers['x-tokens-used'])"), START);
    await ingest(store, first, [chat("5", { time: START }), chat("x", { time: START })], START);
    const second = await app(store, used("number(response.headers['x-tokens-used']) * number(2)"), START + HOUR);
    expect(await store.meterVersions()).toHaveLength(2);
    await ingest(store, second, [chat("5", { time: START + HOUR })], START + HOUR);
    await expectSound(store, second);
    expect(await verify(store, second)).toMatchObject({ meters: { chat_tokens: { accepted: "15", unknown: 1 } } });
  });

  it("is not judged anew when usage of nobody is dropped from now on", async () => {
    const store = newStore();
    const nobody = { company: null };
    const hold = await app(store, settings([tokens]), START);
    await ingest(store, hold, [chat("5", { ...nobody, time: START })], START);
    const drop = await app(store, settings([tokens], { identity: { unknown: "drop" } }), START + HOUR);
    await ingest(store, drop, [chat("7", { ...nobody, time: START + HOUR })], START + HOUR);
    await expectSound(store, drop);
    expect(await verify(store, drop)).toMatchObject({ meters: { chat_tokens: { accepted: "5", held: "5" } } });
  });

  it("stays explainable when a meter is removed, and the gap is not billed when it comes back", async () => {
    const store = newStore();
    const both = await app(store, settings([tokens, calls]), START);
    await ingest(store, both, [chat("5", { time: START })], START);
    const without = await app(store, settings([tokens]), START + HOUR);
    await ingest(store, without, [chat("5", { time: START + HOUR })], START + HOUR);
    // An event of before that arrives late is still the removed meter's.
    await ingest(store, without, [chat("5", { time: START + 1 })], START + HOUR);
    await expectSound(store, without);
    const back = await app(store, settings([tokens, calls]), START + 2 * HOUR);
    await ingest(store, back, [chat("5", { time: START + 2 * HOUR })], START + 2 * HOUR);
    await expectSound(store, back);
    expect(await verify(store, back)).toMatchObject({
      meters: { calls: { accepted: "3" }, chat_tokens: { accepted: "20" } },
    });
  });

  it("keeps the usage of a removed meter after its events were purged", async () => {
    const store = newStore();
    const both = await app(store, settings([tokens, calls]), START);
    await ingest(store, both, [chat("5", { time: START })], START);
    const without = await app(store, settings([tokens]), START + HOUR);
    await ingest(store, without, [chat("5", { time: START + 40 * DAY })], START + 40 * DAY);
    const storage = { path: "", keepEventsMs: DAY, durability: "process" } as const;
    expect(await purgeExpired(store, without, { storage, billing: { stripe: null } }, START + 40 * DAY)).toBe(1);
    const back = await app(store, settings([tokens, calls]), START + 41 * DAY);
    await expectSound(store, back);
    expect(await verify(store, back)).toMatchObject({
      meters: { calls: { accepted: "1" }, chat_tokens: { accepted: "10" } },
    });
  });
});
