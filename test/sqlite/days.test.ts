import Driver from "better-sqlite3";
import { expect, it, onTestFinished } from "vitest";

import { fromInteger } from "../../src/core/decimal.ts";
import { dayBuckets } from "../../src/core/usage.ts";
import { rebuild } from "../../src/engine/books/rebuild.ts";
import { verify } from "../../src/engine/books/verify.ts";
import type { Store } from "../../src/engine/ports.ts";
import { openSqliteStore } from "../../src/sqlite/sqlite-store.ts";
import { sortedBuckets } from "../../src/testing/store-suite/usage-cases.ts";
import { calls, catalogOf, chat, DAY, HOUR, MINUTE, START, tokens, world } from "../engine/world.ts";
import { writeLayout1 } from "./layout-1.ts";
import { tempPath, tempStore } from "./temp-store.ts";

const catalog = catalogOf(tokens, calls);

async function filled(): Promise<{
  readonly store: Store;
  readonly path: string;
  readonly reopen: () => Promise<Store>;
}> {
  const { store, path, reopen, dispose } = await tempStore();
  onTestFinished(dispose);
  await world({ store, catalog }).take(
    ...Array.from({ length: 50 }, (_, place) =>
      chat(String(place), { time: START + place * HOUR, company: place % 2 === 0 ? "acme" : "beta" }),
    ),
  );
  return { store, path, reopen };
}

/** Does to a closed file what another program would. */
function changeFile(path: string, sql: string): void {
  const db = new Driver(path);
  db.exec(sql);
  db.close();
}

function oldBucket(company: number, start: number, value: bigint): string {
  return `INSERT INTO buckets VALUES (900, ${company}, ${start}, 903, 'sum', 2, '${value}', 0, 0);`;
}

async function opened(path: string, readOnly = false): Promise<Store> {
  const store = await openSqliteStore({ path, bucketMs: MINUTE, readOnly });
  onTestFinished(() => store.close());
  return store;
}

async function daysAndSums(store: Store): Promise<readonly unknown[]> {
  return [sortedBuckets(await store.buckets({ grain: "day" })), sortedBuckets(dayBuckets(await store.buckets({})))];
}

it("a file of the first release has its days when it is opened", async () => {
  const { path, dispose } = await tempPath();
  onTestFinished(dispose);
  writeLayout1(path);
  changeFile(
    path,
    `INSERT INTO names VALUES (900, 'old'), (901, 'one'), (902, 'two'), (903, '{}');
     ${oldBucket(901, START, 2n ** 80n)} ${oldBucket(901, START + HOUR, 1n)} ${oldBucket(902, START, -7n)}
     ${oldBucket(901, START + DAY, 5n)}`,
  );
  const reader = new Driver(path, { readonly: true });
  expect(reader.pragma("user_version", { simple: true })).toBe(1);
  reader.close();
  const store = await opened(path);
  const old = await store.buckets({ meter: "old", company: "one", grain: "day" });
  expect(old.map(({ state }) => [state.events, state.value])).toEqual([
    [4, 2n ** 80n + 1n],
    [2, 5n],
  ]);
  const [days, sums] = await daysAndSums(store);
  expect(days).toEqual(sums);
});

it("usage that an older release stored meanwhile is in the days at once, and kept by day after the next opening", async () => {
  const { store, path } = await filled();
  await store.close();
  // An older release knows nothing of days: it counts the event and writes the bucket alone.
  changeFile(
    path,
    `UPDATE meta SET value = value + 1 WHERE name = 'events';
     UPDATE buckets SET events = events + 1, value = '${fromInteger(1_000)}' WHERE start = ${START};`,
  );
  const reader = await opened(path, true);
  const [read, readSums] = await daysAndSums(reader);
  expect(read).toEqual(readSums);
  const writer = await opened(path);
  const [days, sums] = await daysAndSums(writer);
  expect(days).toEqual(sums);
  const db = new Driver(path, { readonly: true });
  onTestFinished(() => void db.close());
  const total = db.prepare("SELECT sum(events) FROM days").pluck().get();
  expect(total).toBe(db.prepare("SELECT sum(events) FROM buckets").pluck().get());
});

it("a day that is not what its buckets add up to is found by verify, and made right by rebuild", async () => {
  const { store, path, reopen } = await filled();
  expect(await verify(store, catalog)).toMatchObject({ ok: true });
  await store.close();
  changeFile(path, `UPDATE days SET value = '1' WHERE aggregate = 'sum' AND start < ${START + DAY}`);
  const again = await reopen();
  onTestFinished(() => again.close());
  const { ok, differences } = await verify(again, catalog);
  expect(ok).toBe(false);
  expect(differences.join("\n")).toContain("is not what the buckets of its day add up to");
  expect((await rebuild(again, catalog, { apply: true })).applied).toBe(true);
  expect(await verify(again, catalog)).toMatchObject({ ok: true, differences: [] });
});
