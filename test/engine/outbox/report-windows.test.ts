import { describe, expect, it } from "vitest";

import { formatDecimal } from "../../../src/core/decimal.ts";
import { limits } from "../../../src/engine/limits.ts";
import {
  closableWindows,
  dueByMeter,
  keepEras,
  nextEras,
  openUsage,
  reportEras,
  type ReportEra,
} from "../../../src/engine/outbox/report-windows.ts";
import type { DirtyWindow, Store } from "../../../src/engine/ports.ts";
import { memoryStore } from "../../../src/memory/memory-store.ts";
import { calls, catalogOf, chat, DAY, HOUR, MINUTE, START, tokens, world, type World } from "../world.ts";

const FIRST: ReportEra = { from: Number.MIN_SAFE_INTEGER, windowMs: HOUR };
/** 2026-11-23T00:00:00Z. */
const TOMORROW = Math.ceil(START / DAY) * DAY;

async function storeWith(...eras: readonly ReportEra[]): Promise<Store> {
  const store = memoryStore({ bucketMs: MINUTE });
  await keepEras(store, eras);
  return store;
}

describe("the widths of report windows", () => {
  it("begin with the one that is configured, for all of the past", async () => {
    const store = memoryStore({ bucketMs: MINUTE });
    expect(await reportEras(store)).toBeNull();
    expect(await nextEras(store, HOUR, START)).toEqual([FIRST]);
    await keepEras(store, [FIRST]);
    expect(await reportEras(store)).toEqual([FIRST]);
    expect(await nextEras(store, HOUR, START)).toEqual([FIRST]);
  });

  it("change with the next day that no event can have reached yet", async () => {
    const store = await storeWith(FIRST);
    const changed = [FIRST, { from: TOMORROW, windowMs: DAY }];
    expect(await nextEras(store, DAY, START)).toEqual(changed);
    expect(await nextEras(store, DAY, TOMORROW - limits.futureMs - 1)).toEqual(changed);
    const after = [FIRST, { from: TOMORROW + DAY, windowMs: DAY }];
    expect(await nextEras(store, DAY, TOMORROW - limits.futureMs)).toEqual(after);
  });

  it("keep a change that was planned, drop one that is not wanted any more, and replace it by another", async () => {
    const planned = { from: TOMORROW, windowMs: DAY };
    const store = await storeWith(FIRST, planned);
    expect(await nextEras(store, DAY, START + HOUR)).toEqual([FIRST, planned]);
    expect(await nextEras(store, HOUR, START)).toEqual([FIRST]);
    expect(await nextEras(store, MINUTE, START)).toEqual([FIRST, { from: TOMORROW, windowMs: MINUTE }]);
    // From its first millisecond on it counts, and going back is another change.
    expect(await nextEras(store, HOUR, TOMORROW)).toEqual([FIRST, planned, { from: TOMORROW + DAY, windowMs: HOUR }]);
    expect(await nextEras(store, HOUR, TOMORROW - 1)).toEqual([FIRST]);
    expect(await nextEras(store, DAY, TOMORROW)).toEqual([FIRST, planned]);
  });

  it("are not put off by a day when the evening of a planned change comes", async () => {
    const earlier = { from: TOMORROW - 9 * DAY, windowMs: MINUTE };
    const planned = { from: TOMORROW, windowMs: DAY };
    for (const eras of [
      [FIRST, planned],
      [FIRST, earlier, planned],
    ])
      expect(await nextEras(await storeWith(...eras), DAY, TOMORROW - limits.futureMs)).toEqual(eras);
  });

  it("keep their first one though the clock was set back before it", async () => {
    const first = { from: START, windowMs: HOUR };
    expect(await nextEras(await storeWith(first), HOUR, START - DAY)).toEqual([first]);
  });

  it("are written only when they change", async () => {
    const store = await storeWith(FIRST);
    const readOnly: Store = { ...store, putNote: () => Promise.reject(new Error("written")) };
    await keepEras(readOnly, [FIRST]);
    await expect(keepEras(readOnly, [FIRST, { from: TOMORROW, windowMs: DAY }])).rejects.toThrow("written");
  });
});

function shown(windows: readonly DirtyWindow[]): unknown[] {
  return windows.map(({ company, windowStart, windowEnd, total }) => [
    company,
    (windowStart - TOMORROW) / HOUR,
    (windowEnd - TOMORROW) / HOUR,
    formatDecimal(total),
  ]);
}

/** Usage on both sides of the midnight at which windows grow from an hour to a day. */
async function changedWorld(): Promise<World & { readonly eras: readonly ReportEra[] }> {
  const base = world({ catalog: catalogOf(tokens, calls) });
  base.clock.set(TOMORROW + 2 * DAY);
  await base.take(
    chat("1", { time: TOMORROW - 2 * HOUR }),
    chat("2", { time: TOMORROW - 1 }),
    chat("4", { time: TOMORROW }),
    chat("8", { time: TOMORROW + 23 * HOUR }),
  );
  return { ...base, eras: [FIRST, { from: TOMORROW, windowMs: DAY }] };
}

function ofTokens(windows: readonly DirtyWindow[]): readonly DirtyWindow[] {
  return windows.filter(({ meter }) => meter === "chat_tokens");
}

describe("windows that can be closed", () => {
  it("ended as long ago as late events are waited for", async () => {
    const { store, take, clock } = world();
    await take(chat("5"));
    const end = START + HOUR;
    clock.set(end);
    const at = (now: number): Promise<readonly DirtyWindow[]> => closableWindows(store, [FIRST], now, 5 * MINUTE);
    expect(await at(end + 5 * MINUTE - 1)).toEqual([]);
    expect(await at(end + 5 * MINUTE)).toMatchObject([{ windowStart: START, windowEnd: end }]);
  });

  it("have the width of their own time each, oldest first", async () => {
    const { store, eras } = await changedWorld();
    const found = await closableWindows(store, eras, TOMORROW + 2 * DAY, 0);
    expect(shown(ofTokens(found))).toEqual([
      ["acme", -2, -1, "1"],
      ["acme", -1, 0, "2"],
      ["acme", 0, 24, "12"],
    ]);
    expect(found).toHaveLength(6);
    expect(shown(ofTokens(await closableWindows(store, eras, TOMORROW + DAY - 1, 0)))).toEqual([
      ["acme", -2, -1, "1"],
      ["acme", -1, 0, "2"],
    ]);
    expect(shown(await closableWindows(store, eras, TOMORROW + 2 * DAY, 0, 3))).toHaveLength(3);
  });

  it("of a new, smaller width are found beside those of the width before, however few are asked for", async () => {
    const { store } = await changedWorld();
    const eras = [
      { ...FIRST, windowMs: DAY },
      { from: TOMORROW, windowMs: HOUR },
    ];
    const found = await closableWindows(store, eras, TOMORROW + 2 * DAY, 0, 4);
    expect(shown(ofTokens(found))).toEqual([
      ["acme", -24, 0, "3"],
      ["acme", 0, 1, "4"],
    ]);
    expect(found).toHaveLength(4);
  });

  it("are no more than asked for", async () => {
    const { store, take } = world();
    await take(...["a", "b", "c"].map((company) => chat("1", { company })));
    expect(await closableWindows(store, [FIRST], START + DAY, 0, 2)).toHaveLength(2);
    expect(await closableWindows(store, [FIRST], START + DAY, 0)).toHaveLength(3);
  });

  it("are shown as open usage without waiting for late events, once anything was reported", async () => {
    const { store, take } = world();
    await take(chat("5"));
    const end = START + HOUR;
    expect(await openUsage(store, end, 9)).toEqual([]);
    await keepEras(store, [FIRST]);
    expect(await openUsage(store, end, 9)).toMatchObject([{ company: "acme", windowEnd: end }]);
    expect(await openUsage(store, end - 1, 9)).toEqual([]);
    await take(chat("5", { company: "globex" }));
    expect(await openUsage(store, end, 1)).toHaveLength(1);
  });
});

function due(totals: ReadonlyMap<string, bigint>): unknown {
  return Object.fromEntries([...totals].map(([meter, value]) => [meter, formatDecimal(value)]));
}

describe("usage that is due", () => {
  it("is all that is counted and not in the outbox, in open windows too, whatever their widths", async () => {
    const { store, eras, take, clock } = await changedWorld();
    const expected = { chat_tokens: "15", calls: "4" };
    expect(due(await dueByMeter(store))).toEqual(expected);
    await keepEras(store, [FIRST]);
    expect(due(await dueByMeter(store))).toEqual(expected);
    await keepEras(store, eras);
    expect(due(await dueByMeter(store))).toEqual(expected);
    await take(chat("1", { time: clock.now(), company: "globex" }));
    expect(due(await dueByMeter(store))).toEqual({ chat_tokens: "16", calls: "5" });
  });

  it("is less by what is enqueued, in windows of one width and of two", async () => {
    const { store, eras } = await changedWorld();
    await keepEras(store, eras);
    const [basis] = ofTokens(await closableWindows(store, eras, TOMORROW + 2 * DAY, 0));
    if (basis === undefined) throw new Error("no window");
    await store.enqueue([{ basis, row: null }], TOMORROW + 2 * DAY);
    expect(due(await dueByMeter(store))).toEqual({ chat_tokens: "14", calls: "4" });
    await keepEras(store, [FIRST]);
    expect(due(await dueByMeter(store))).toEqual({ chat_tokens: "14", calls: "4" });
  });

  it("leaves out what a window has in the outbox when more comes into it", async () => {
    const { store, eras, take } = await changedWorld();
    await keepEras(store, eras);
    for (const basis of await closableWindows(store, eras, TOMORROW + 2 * DAY, 0))
      await store.enqueue([{ basis, row: null }], TOMORROW + 2 * DAY);
    expect(due(await dueByMeter(store))).toEqual({});
    await take(chat("3", { time: TOMORROW }));
    expect(due(await dueByMeter(store))).toEqual({ chat_tokens: "3", calls: "1" });
  });
});
