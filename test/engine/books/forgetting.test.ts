import { expect, it } from "vitest";

import { forgetBatch } from "../../../src/engine/books/forgetting.ts";
import { purgeBatch, purgeExpired, type PurgePlace } from "../../../src/engine/books/retention.ts";
import { limits } from "../../../src/engine/limits.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { recordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { chat, DAY, HOUR, START, world } from "../world.ts";

const keeping = (keepEventsMs: number | null) => ({
  storage: { path: "", keepEventsMs, durability: "process" as const },
  billing: { stripe: null },
});

/** Two settled reports and one that is accepted since, a refused event, and a name that was taken once. */
async function used(store: Store) {
  const made = world({ store });
  const { clock, take, round } = made;
  const reporter = recordingReporter({ customers: { acme: "cus_1" } });
  for (const hour of [0, 1]) await take(chat("5", { time: START + hour * HOUR, id: `in hour ${hour}` }));
  await take(chat("6", { id: "in hour 0" }));
  clock.set(START + 3 * HOUR);
  await round(reporter);
  const rows = await store.outbox({ limit: 9 });
  await store.settleRows(
    rows.map(({ rowId }) => rowId),
    clock.now(),
  );
  await store.takeOnce("notice", clock.now());
  // The newest line of history is another report's.
  clock.set(START + 200 * DAY);
  await take(chat("1", { time: START + 200 * DAY - 3 * HOUR }));
  await round(reporter);
  const [newest] = await store.outbox({ windowFrom: START + 100 * DAY, limit: 1 });
  await store.settleRows([newest?.rowId ?? 0], clock.now());
  const linesOf = async (): Promise<readonly number[]> =>
    Promise.all(rows.map(async ({ rowId }) => (await store.rowHistory(rowId)).length));
  return { ...made, linesOf };
}

onBothStores("what is kept beside events", (make) => {
  it("goes with events of its age, reports and sums stay, and names go after their own time", async () => {
    const store = await make();
    const { catalog, clock, linesOf } = await used(store);
    const reports = await store.outbox({ limit: 9 });
    expect([await linesOf(), (await store.counts()).conflicts]).toEqual([[2, 2], 1]);
    await purgeExpired(store, catalog, keeping(DAY), START + 3 * HOUR + limits.historyKeptMinMs);
    expect([await linesOf(), (await store.counts()).conflicts]).toEqual([[2, 2], 0]);
    await purgeExpired(store, catalog, keeping(300 * DAY), clock.now());
    expect(await linesOf()).toEqual([2, 2]);
    expect(await store.takeOnce("notice", clock.now())).toBe(true);
    await purgeExpired(store, catalog, keeping(DAY), clock.now());
    expect(await linesOf()).toEqual([0, 0]);
    const kept = reports.map((row, place) => (place < 2 ? { ...row, requestIds: [] } : row));
    expect(await store.outbox({ limit: 9 })).toEqual(kept);
    expect(await store.takeOnce("notice", clock.now())).toBe(false);
  });

  it("stays for ever where events do, but for names", async () => {
    const store = await make();
    const { catalog, linesOf } = await used(store);
    expect(await purgeExpired(store, catalog, keeping(null), START + 9_999 * DAY)).toBe(0);
    expect([await linesOf(), (await store.counts()).conflicts]).toEqual([[2, 2], 1]);
    expect(await store.takeOnce("notice", START)).toBe(true);
  });

  it("is looked at in batches of which none is greater than its bound", async () => {
    const store = await make();
    const { catalog, clock } = await used(store);
    const asked: number[] = [];
    const listening: Store = {
      ...store,
      forget: (query) => {
        asked.push(query.limit);
        return store.forget({ ...query, limit: 1 });
      },
    };
    let place: PurgePlace | null = null;
    let batches = 0;
    do {
      const batch = await purgeBatch(listening, catalog, keeping(DAY), clock.now(), place);
      place = batch.next;
      batches += 1;
    } while (place !== null);
    expect(batches).toBeGreaterThan(6);
    expect(new Set(asked)).toEqual(new Set([limits.forgetBatchMax]));
  });
});

it("goes on with the next kind only when the one before is done", async () => {
  const seen: string[] = [];
  const forget: Store["forget"] = async ({ kind, after }) => {
    seen.push(`${kind} ${after ?? "first"}`);
    return { deleted: 0, next: after === null && kind === "attempt" ? 7 : null };
  };
  let place: Parameters<typeof forgetBatch>[3] | null = { kind: "once", after: null };
  while (place !== null) place = await forgetBatch({ forget }, DAY, START, place);
  expect(seen).toEqual(["once first", "conflict first", "attempt first", "attempt 7", "change first", "session first"]);
});
