import { expect, it } from "vitest";

import type { Store } from "../../src/engine/ports.ts";
import { compileCatalog } from "../../src/core/catalog.ts";
import { purgeExpired } from "../../src/engine/books/retention.ts";
import { verify } from "../../src/engine/books/verify.ts";
import { openSqliteStore } from "../../src/sqlite/sqlite-store.ts";
import { STORE_SUITE_BUCKET_MS as BUCKET_MS } from "../../src/testing/store-suite.ts";
import { reportOf } from "../../src/testing/store-suite/store-case.ts";
import { chat, START, tokens, world } from "../engine/world.ts";
import { tempPath, tempStore } from "./temp-store.ts";

const catalog = compileCatalog({
  versions: [{ definition: tokens, version: 1, effectiveFrom: 0 }],
  fields: {},
  unknownIdentity: "hold",
});
const settings = {
  storage: { path: "", keepEventsMs: 1, durability: "process" as const },
  billing: { stripe: null },
};

it("purges each event once when two processes purge at the same time", async () => {
  const { path, dispose } = await tempPath();
  const [one, two] = [
    await openSqliteStore({ path, bucketMs: BUCKET_MS }),
    await openSqliteStore({ path, bucketMs: BUCKET_MS }),
  ];
  await world({ store: one, catalog }).take(chat("1"), chat("2"), chat("4", { company: "globex" }));
  const now = START + 1_000;
  // The second one has read the same events when the first one deletes them.
  const late: Store = {
    ...two,
    purge: async (...asked) => {
      expect(await purgeExpired(one, catalog, settings, now)).toBe(3);
      return two.purge(...asked);
    },
  };
  expect(await purgeExpired(late, catalog, settings, now)).toBe(0);
  expect(await one.archivedBuckets()).toEqual(await two.buckets({}));
  expect(await verify(two, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { accepted: "7" } } });
  await one.close();
  await two.close();
  await dispose();
});

it("reads a snapshot while another process writes, and lets it write", async () => {
  const { path, dispose } = await tempPath();
  const reader = await openSqliteStore({ path, bucketMs: BUCKET_MS });
  const writer = await openSqliteStore({ path, bucketMs: BUCKET_MS });
  const { take } = world({ store: writer, catalog });
  await take(chat("1"));
  let writes = 0;
  const verdict = await verify(reader, catalog, {
    onProgress: () => {
      writes += 1;
      void take(chat("100"), chat("100", { company: null }));
    },
  });
  expect(verdict).toMatchObject({ ok: true, events: 1 });
  expect([writes, (await reader.counts()).events]).toEqual([1, 3]);
  expect(await verify(reader, catalog)).toMatchObject({ ok: true, events: 3 });
  await reader.close();
  await writer.close();
  await dispose();
});

it("tells rows and running totals that a bug or a hand changed", async () => {
  const { store, path, dispose } = await tempStore();
  await world({ store, catalog }).take(chat("1.5"));
  const [basis] = await store.dirtyWindows({ windowMs: 3_600_000, before: START * 2, limit: 1 });
  if (basis === undefined) throw new Error("no window");
  const row = reportOf(basis, { value: 10n ** 12n, customer: null, identifier: null, state: "held" });
  expect(await store.enqueue([{ basis, row }], START)).toBe(1);
  expect(await verify(store, catalog)).toMatchObject({ ok: true });
  const { default: Driver } = await import("better-sqlite3");
  const db = new Driver(path);
  db.prepare("UPDATE running SET value = '2000000000000'").run();
  expect((await verify(store, catalog)).differences).toEqual([
    "reports of chat_tokens acme add up to 1.5 (1 sent), but the running totals are 1.5 (2)",
  ]);
  db.prepare("UPDATE outbox SET value = '2000000000000'").run();
  expect((await verify(store, catalog)).differences).toEqual([
    "reports of chat_tokens acme cover 1.5, but say 2: not the same, rounded down",
  ]);
  db.close();
  await dispose();
});

it("serves held rows, spans and open reports from an index", async () => {
  const { store, path, dispose } = await tempStore();
  const { default: Driver } = await import("better-sqlite3");
  const db = new Driver(path, { readonly: true });
  const plan = (sql: string): string => JSON.stringify(db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all());
  expect(
    plan(
      "SELECT * FROM outbox WHERE state = 'dead' AND state <> 'accepted' AND state <> 'settled' ORDER BY window_start, sequence, row_id",
    ),
  ).toMatch(/outbox_state/);
  const held = plan(
    "SELECT holds.seq AS seq FROM holds CROSS JOIN events ON events.seq = holds.seq WHERE holds.place = 0 AND holds.seq > 7 ORDER BY seq LIMIT 5",
  );
  expect(held).toMatch(/SEARCH holds USING PRIMARY KEY/);
  expect(held).not.toMatch(/TEMP B-TREE/);
  const span = plan(
    "SELECT * FROM events INDEXED BY events_time WHERE time < 9 AND (time, seq) > (3, 4) ORDER BY time, seq LIMIT 5",
  );
  expect(span).toMatch(/events_time/);
  expect(span).not.toMatch(/TEMP B-TREE/);
  db.close();
  await store.close();
  await dispose();
});
