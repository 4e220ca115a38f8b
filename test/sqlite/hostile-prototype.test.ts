import { afterEach, beforeEach, expect, it } from "vitest";

import { compileCatalog } from "../../src/core/catalog.ts";
import { nextVersions } from "../../src/core/meter-versions.ts";
import { replayVersions } from "../../src/core/meter-timeline.ts";
import type { MeterVersion } from "../../src/core/meter.ts";
import { amendEvent } from "../../src/engine/ingest/assign.ts";
import { ingest } from "../../src/engine/ingest/ingest.ts";
import type { Store } from "../../src/engine/ports.ts";
import { onBothStores } from "../engine/both-stores.ts";
import { chat, START, tokens } from "../engine/world.ts";

/** Optional members of what is stored as JSON and read back: whoever looks them up without asking finds the attacker's. */
const POISON: Readonly<Record<string, unknown>> = {
  fields: { "model.name": "'poisoned'" },
  unknownIdentity: "drop",
  ended: true,
  replayed: { author: "nobody", cause: "poisoned", at: 1 },
  late: "write_off",
  eventTimeWindow: "hour",
  revision: 99,
  company: "mallory",
  user: "mallory",
  metadata: { model: "poisoned" },
  aborted: true,
  faults: { company: "identify_failed", response: "capture_failed" },
  recordedAt: 1,
  replacedBy: { source: "poisoned", id: "poisoned" },
  item: "si_poisoned",
};
const everyObject: object = Object.prototype;

beforeEach(() => {
  for (const [name, value] of Object.entries(POISON))
    Object.defineProperty(everyObject, name, { value, writable: true, enumerable: false, configurable: true });
});
afterEach(() => {
  for (const name of Object.keys(POISON)) Reflect.deleteProperty(everyObject, name);
});

const plain: MeterVersion = { definition: tokens, version: 1, effectiveFrom: 0 };

/** The members of an object that are its own, as somebody sees them who looks the names up. */
function seen<Value extends object>(value: Value | undefined, names: readonly (keyof Value)[]): readonly unknown[] {
  if (value === undefined) throw new Error("there is none");
  return names.filter((name) => Object.hasOwn(value, name));
}

async function catalogFrom(store: Store) {
  const versions = await store.meterVersions();
  return compileCatalog({ versions, fields: {}, unknownIdentity: "hold", revision: versions.length });
}

onBothStores("optional members that an attacker put into every object", (make) => {
  it("are no members of a stored meter version, so it counts as it did", async () => {
    const store = await make();
    await store.addMeterVersions([plain], 0);
    const [version] = await store.meterVersions();
    expect(seen(version, ["fields", "unknownIdentity", "ended", "replayed"])).toEqual([]);
    const catalog = await catalogFrom(store);
    expect(catalog.meters.map(({ key }) => key)).toEqual(["chat_tokens"]);
    expect(catalog.judge(chat("5"))).toMatchObject([{ kind: "counted", meter: "chat_tokens" }]);
    expect(catalog.judge(chat("5", { company: null }))).toMatchObject([{ kind: "held", reason: "no_company" }]);
  });

  it("make no edit of an unedited meter, and put no ended one back", async () => {
    const store = await make();
    await store.addMeterVersions([{ ...plain, fields: {}, unknownIdentity: "hold" }], 0);
    const stored = await store.meterVersions();
    const wanted = { meters: [tokens], fields: {}, unknownIdentity: "hold" } as const;
    expect(nextVersions(stored, wanted, START, false)).toEqual({ add: [], aggregateChanged: [], ofApi: [] });
    expect(nextVersions(stored, { ...wanted, meters: [] }, START, false).add).toMatchObject([{ ended: true }]);
    const edited = { ...plain, version: 2, effectiveFrom: START };
    const note = { author: "operator:ada", cause: "why", at: START };
    const change = replayVersions([...stored, edited], tokens.key, { from: 0, to: null }, note);
    expect(change?.add).toMatchObject([{ version: 3, replayed: note }]);
    await store.addMeterVersions([edited, ...(change?.add ?? [])], 1);
    const added = (await store.meterVersions()).slice(1);
    expect(added.map((each) => seen(each, ["fields", "unknownIdentity", "ended", "replayed"]))).toEqual([
      [],
      ["replayed"],
    ]);
  });

  it("give no event a payer, and no later fact a company, a label or an end", async () => {
    const store = await make();
    await store.addMeterVersions([plain], 0);
    const catalog = await catalogFrom(store);
    const event = { ...chat("5", { company: null, id: "x" }), metadata: { model: "small" } };
    await ingest(store, catalog, [event], START);
    expect(await amendEvent(store, catalog, { source: "test", id: "x", closes: "end" }, "journal", START)).toBe(true);
    const [held] = await store.held({ order: "oldest", limit: 9 });
    expect(held).toMatchObject({ reason: "no_company" });
    expect(await store.buckets({})).toEqual([]);
    expect((await store.events({ order: "oldest", limit: 9 })).map((each) => each.event.company)).toEqual([null]);
    const [stored] = await store.findEvents("x");
    expect(stored?.amendments.map((fact) => Reflect.get(fact, "company"))).toEqual([undefined]);
    const named = { source: "test", id: "x", closes: "identity", company: "acme" } as const;
    expect(await amendEvent(store, catalog, named, "journal", START)).toBe(true);
    expect((await store.buckets({})).map(({ company, group }) => [company, group])).toEqual([
      ["acme", '{"model":"small"}'],
    ]);
  });

  it("name no subscription item of a period", async () => {
    const store = await make();
    const period = { customer: "cus_1", reportAs: "calls", from: START, to: START + 1, renews: true };
    await store.putPeriods([period, { ...period, item: "si_1" }]);
    const periods = await store.periods();
    expect(periods.map((each) => [Object.hasOwn(each, "item"), each.item])).toEqual([
      [false, "si_poisoned"],
      [true, "si_1"],
    ]);
  });
});
