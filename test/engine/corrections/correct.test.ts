import { expect, it } from "vitest";

import { formatDecimal } from "../../../src/core/decimal.ts";
import type { MeterDefinition } from "../../../src/core/meter.ts";
import type { AggregateKind } from "../../../src/core/aggregation.ts";
import { assignCompany } from "../../../src/engine/ingest/assign.ts";
import { correctEvent, type CorrectionOrder, type Instead } from "../../../src/engine/corrections/correct.ts";
import { explainEvent } from "../../../src/engine/usage/explain.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { rebuild } from "../../../src/engine/books/rebuild.ts";
import { purgeExpired } from "../../../src/engine/books/retention.ts";
import { queryUsage } from "../../../src/engine/usage/usage-query.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { onBothStores, type MakeStore } from "../both-stores.ts";
import { calls, catalogOf, chat, DAY, HOUR, START, tokens, world, type World } from "../world.ts";

function meterOf(aggregate: AggregateKind): MeterDefinition {
  return { ...tokens, key: `m_${aggregate}`, aggregate, report: false, reportAs: `m_${aggregate}` };
}

const KINDS: readonly AggregateKind[] = ["sum", "avg", "min", "max", "latest", "unique"];
const catalog = catalogOf(calls, tokens, ...KINDS.map(meterOf));

interface Desk extends World {
  readonly correct: (
    id: string,
    instead?: Instead | null,
    more?: Partial<CorrectionOrder>,
  ) => ReturnType<typeof correctEvent>;
  /** Usage of acme (or another) by meter, as text. */
  readonly usage: (company?: string) => Promise<Record<string, string | null>>;
  readonly assertWhole: () => Promise<void>;
}

async function desk(make: MakeStore): Promise<Desk> {
  const store = await make();
  const own = world({ store, catalog });
  const order = { store, catalog, instead: null, author: "operator:ann", cause: "load test", dryRun: false };
  return {
    ...own,
    correct: (id, instead = null, more = {}) => correctEvent({ ...order, id, instead, now: own.clock.now(), ...more }),
    usage: async (company = "acme") => {
      const rows = await queryUsage(store, catalog, { company, window: null, groupBy: [] });
      return Object.fromEntries(rows.map((row) => [row.meter, row.value]));
    },
    assertWhole: async () => {
      expect((await rebuild(store, catalog, { apply: false })).differences).toEqual([]);
      expect(await verify(store, catalog)).toMatchObject({ ok: true, differences: [] });
    },
  };
}

const voided = { code: "METER_CORRECTION_REFUSED" };

onBothStores("a voided event", (make) => {
  it("counts for nothing in any meter, whatever it aggregates, and stays with author and cause", async () => {
    const { store, take, correct, usage, assertWhole } = await desk(make);
    await take(chat("5", { id: "a" }), chat("9", { id: "b", time: START + 1 }), chat("2", { id: "c" }));
    await correct("b");
    expect(await usage()).toEqual({
      calls: "2",
      chat_tokens: "7",
      m_sum: "7",
      m_avg: "3.5",
      m_min: "2",
      m_max: "5",
      m_latest: "2",
      m_unique: "2",
    });
    await assertWhole();
    const [stored] = await store.findEvents("b");
    expect(stored?.event).toEqual(chat("9", { id: "b", time: START + 1 }));
    expect(stored?.amendments).toEqual([
      { source: "test", id: "b", closes: "void", cause: "load test", at: START, author: "operator:ann" },
    ]);
    const explained = await explainEvent(store, catalog, "b");
    expect(explained.voided).toEqual({ author: "operator:ann", at: START, cause: "load test" });
    expect(explained.verdicts).toHaveLength(catalog.meters.length);
    for (const verdict of explained.verdicts)
      expect(verdict).toMatchObject({ counted: false, held: false, reason: "voided: load test" });
  });

  it("leaves no empty bucket behind, and closes its holds", async () => {
    const { store, take, correct, assertWhole } = await desk(make);
    await take(chat("5", { id: "a" }), chat(null, { id: "held" }), chat("3", { id: "nobody", company: null }));
    for (const id of ["a", "held", "nobody"]) await correct(id);
    expect(await store.buckets({})).toEqual([]);
    expect(await store.held({ order: "oldest", limit: 9 })).toEqual([]);
    expect((await store.counts()).heldEvents).toBe(0);
    await assertWhole();
  });

  it("shows totals before and after first, and a dry run changes nothing", async () => {
    const { store, take, correct, usage } = await desk(make);
    await take(chat("5", { id: "a" }), chat("2"));
    const before = await usage();
    const shown = await correct("a", null, { dryRun: true });
    const window = { company: "acme", from: START, to: START + HOUR, reported: "0" };
    expect(shown.usage).toContainEqual({ meter: "chat_tokens", ...window, before: "7", after: "2", difference: "-5" });
    expect(shown.usage).toContainEqual({ meter: "calls", ...window, before: "2", after: "1", difference: "-1" });
    expect(shown.verdicts).toContainEqual({ meter: "chat_tokens", before: "counted 5", after: null });
    expect(shown.applied).toBe(false);
    expect(await usage()).toEqual(before);
    expect((await store.findEvents("a"))[0]?.amendments).toEqual([]);
    const done = await correct("a");
    expect({ ...done, applied: false }).toEqual(shown);
    expect((await usage())["chat_tokens"]).toBe("2");
  });

  it("is void for good: not voided, replaced or assigned again, and no replayed line counts it", async () => {
    const { store, take, correct, usage, assertWhole } = await desk(make);
    const event = chat("5", { id: "a", company: null });
    await take(event, chat("1"));
    await correct("a");
    await expect(correct("a")).rejects.toMatchObject(voided);
    await expect(correct("a", { meter: "chat_tokens", text: "3" })).rejects.toMatchObject(voided);
    const assignment = { store, catalog, id: "a", company: "acme", author: "cli", now: START };
    await expect(assignCompany(assignment)).rejects.toMatchObject(voided);
    await take(event);
    expect((await store.counts()).duplicates).toBe(1);
    expect((await usage())["chat_tokens"]).toBe("1");
    await expect(correct("nothing")).rejects.toMatchObject({ code: "METER_EVENT_NOT_FOUND" });
    await assertWhole();
  });

  it("takes what was reported back with the next report of its window", async () => {
    const { store, take, correct, clock, assertWhole } = await desk(make);
    await take(chat("5", { id: "a" }), chat("2.5"));
    clock.advance(2 * HOUR);
    const windows = async () =>
      (await store.dirtyWindows({ windowMs: HOUR, before: clock.now(), limit: 9 })).filter(
        ({ meter }) => meter === "chat_tokens",
      );
    const [basis] = await windows();
    if (basis === undefined) throw new Error("expected a window");
    expect(await store.enqueue([{ basis, row: null }], clock.now())).toBe(1 - 1);
    expect(await windows()).toEqual([]);
    await correct("a");
    expect((await windows()).map(({ total, enqueuedRaw }) => formatDecimal(total - enqueuedRaw))).toEqual(["-5"]);
    await assertWhole();
  });

  it("is deleted when its time has come, and its usage does not come back", async () => {
    const { store, take, correct, usage } = await desk(make);
    await take(chat("5", { id: "a" }), chat("2"));
    await correct("a");
    const settings = {
      storage: { path: "", keepEventsMs: DAY, durability: "process" as const },
      billing: { stripe: null },
    };
    expect(await purgeExpired(store, catalog, settings, START + 3 * DAY)).toBe(2);
    expect((await usage())["chat_tokens"]).toBe("2");
    expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { accepted: "2" } } });
  });
});

onBothStores("a replaced event", (make) => {
  it("counts its new value at its own time, by an event that names what it corrects", async () => {
    const { store, take, correct, usage, assertWhole } = await desk(make);
    await take(chat("5", { id: "a", time: START + 7 }), chat("2"));
    const { replacement, usage: changes } = await correct("a", { meter: "chat_tokens", text: "40" });
    expect(replacement).toMatchObject({
      source: "correction",
      time: START + 7,
      company: "acme",
      corrects: { source: "test", id: "a" },
      response: { status: 200, headers: { "x-tokens-used": "40" } },
    });
    expect(await usage()).toMatchObject({ calls: "2", chat_tokens: "42", m_max: "40", m_latest: "40", m_unique: "2" });
    expect(changes).toContainEqual(
      expect.objectContaining({ meter: "chat_tokens", before: "7", after: "42", difference: "35" }),
    );
    await assertWhole();
    const [stored] = await store.findEvents(replacement?.id ?? "");
    expect(stored?.event).toEqual(replacement);
    expect((await explainEvent(store, catalog, "a")).voided?.replacedBy).toEqual({
      source: "correction",
      id: replacement?.id,
    });
  });

  it("can be a held one: the value that was missing counts", async () => {
    const { store, take, correct, usage, assertWhole } = await desk(make);
    await take(chat(null, { id: "a" }), chat("many", { id: "b" }));
    await correct("a", { meter: "chat_tokens", text: "3" });
    await correct("b", { values: [{ path: "response.headers.X-Tokens-Used", text: "4" }] });
    expect((await usage())["chat_tokens"]).toBe("7");
    expect(await store.held({ order: "oldest", limit: 9 })).toEqual([]);
    await assertWhole();
  });

  it("can be somebody else's: the wrong company's usage goes to the right one", async () => {
    const { take, correct, usage, assertWhole } = await desk(make);
    await take(chat("5", { id: "a" }), chat("2"));
    const { usage: changes } = await correct("a", { values: [{ path: "company", text: "globex" }] });
    expect((await usage())["chat_tokens"]).toBe("2");
    expect((await usage("globex"))["chat_tokens"]).toBe("5");
    const lanes = changes.filter(({ meter }) => meter === "chat_tokens");
    expect(lanes.map(({ company, difference }) => [company, difference])).toEqual([
      ["acme", "-5"],
      ["globex", "5"],
    ]);
    await assertWhole();
  });

  it("is corrected further by its replacement, under a name of its own each time", async () => {
    const { take, correct, usage, assertWhole } = await desk(make);
    await take(chat("5", { id: "a" }));
    const names = new Set(["a"]);
    let id = "a";
    for (const text of ["6", "7", "8"]) {
      id = (await correct(id, { meter: "chat_tokens", text })).replacement?.id ?? "";
      expect(id).toMatch(/^a~[0-9a-f]{16}$/);
      names.add(id);
    }
    expect(names.size).toBe(4);
    expect((await usage())["chat_tokens"]).toBe("8");
    await expect(correct("a", { meter: "chat_tokens", text: "1" })).rejects.toMatchObject(voided);
    await correct(id);
    expect(await usage()).toEqual({});
    await assertWhole();
  });

  it("keeps to what was asked: no meter that would not count it, no count, no computed value", async () => {
    const { take, correct, store } = await desk(make);
    await take(chat("5", { id: "a", route: "/free" }), chat("5", { id: "b" }));
    await expect(correct("a", { meter: "chat_tokens", text: "1" })).rejects.toMatchObject(voided);
    await expect(correct("b", { meter: "chat_tokens", text: "none" })).rejects.toMatchObject(voided);
    await expect(correct("b", { meter: "calls", text: "1" })).rejects.toMatchObject(voided);
    await expect(correct("b", { meter: "chat_token", text: "1" })).rejects.toMatchObject({
      code: "METER_UNKNOWN_METER",
    });
    await expect(correct("b", { values: [{ path: "id", text: "c" }] })).rejects.toMatchObject(voided);
    for (const id of ["a", "b"]) expect((await store.findEvents(id))[0]?.amendments).toEqual([]);
  });

  it("refuses a name that another event has, and changes nothing", async () => {
    const { store, take, correct, usage } = await desk(make);
    await take(chat("5", { id: "a" }));
    const { replacement } = await correct("a", { meter: "chat_tokens", text: "6" }, { dryRun: true });
    await take({ ...chat("1", { id: replacement?.id ?? "" }), source: "correction" });
    await expect(correct("a", { meter: "chat_tokens", text: "6" })).rejects.toMatchObject(voided);
    expect((await usage())["chat_tokens"]).toBe("6");
    expect((await store.findEvents("a"))[0]?.amendments).toEqual([]);
  });

  it("has the time of the correction as its recording, so that a wrong clock's event counts now", async () => {
    const { take, correct, usage, clock, assertWhole } = await desk(make);
    await take({ ...chat("5", { id: "a", time: START + HOUR }), recordedAt: START });
    expect(await usage()).toEqual({});
    clock.advance(2 * HOUR);
    await correct("a", { meter: "chat_tokens", text: "5" });
    expect((await usage())["chat_tokens"]).toBe("5");
    await assertWhole();
  });
});

onBothStores("a correction that races", (make) => {
  it("is made of what is there when it is written: usage, amendments and meters", async () => {
    const { store, take, correct, usage, assertWhole } = await desk(make);
    await take(chat("5", { id: "a" }), chat("9", { id: "b", company: null }));
    const meanwhile: (() => Promise<unknown>)[] = [
      () => take(chat("7", { id: "c" })),
      () => assignCompany({ store, catalog, id: "b", company: "acme", author: "t", now: START }),
      () => correct("c"),
    ];
    const racing: Store = {
      ...store,
      correct: async (...asked) => {
        await meanwhile.shift()?.();
        return store.correct(...asked);
      },
    };
    await correct("a", null, { store: racing });
    expect(meanwhile).toEqual([]);
    expect(await usage()).toMatchObject({ chat_tokens: "9", m_max: "9", m_min: "9" });
    await assertWhole();
  });

  it("gives up when usage moves each time, and is refused when another one came first", async () => {
    const { store, take, correct } = await desk(make);
    await take(chat("5", { id: "a" }));
    const busy: Store = {
      ...store,
      correct: async (...asked) => {
        await take(chat("1"));
        return store.correct(...asked);
      },
    };
    await expect(correct("a", null, { store: busy })).rejects.toMatchObject({ code: "METER_STORE_BUSY" });
    const late: Store = {
      ...store,
      correct: async (...asked) => {
        await correct("a");
        return store.correct(...asked);
      },
    };
    await expect(correct("a", { meter: "chat_tokens", text: "1" }, { store: late })).rejects.toMatchObject(voided);
  });

  it("is not made by old meters", async () => {
    const { store, take, correct } = await desk(make);
    await take(chat("5", { id: "a" }));
    await store.addMeterVersions([{ definition: calls, version: 1, effectiveFrom: 0 }], 0);
    const old = { ...catalog, revision: 0 };
    await expect(correct("a", null, { catalog: old })).rejects.toMatchObject({ code: "METER_METERS_CHANGED" });
    expect((await store.findEvents("a"))[0]?.amendments).toEqual([]);
  });
});
