import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

import { expect, it } from "vitest";

import { fromInteger } from "../../src/core/decimal.ts";
import { openSqliteStore } from "../../src/sqlite/sqlite-store.ts";
import { counted, HOUR } from "../../src/testing/store-suite/store-case.ts";
import { tempPath } from "./temp-store.ts";

const BUCKET_MS = 60_000;
const EVENTS = 1_200;
const BATCH = 40;

/** A process that gets all events, in an order of its own, and answers what became of each. */
async function ingestAll(path: string, offset: number): Promise<string[]> {
  const ids = Array.from({ length: EVENTS }, (_, place) => (place * 7 + offset) % EVENTS);
  const entries = ids.map((id) => counted({ id: `e${id}`, company: `company ${id % 5}`, time: HOUR + id }, id));
  const batches = Array.from({ length: EVENTS / BATCH }, (_, place) =>
    entries.slice(place * BATCH, (place + 1) * BATCH),
  );
  const child = fork(join(import.meta.dirname, "ingest-child.mjs"), { execArgv: [], serialization: "advanced" });
  child.send({ path, bucketMs: BUCKET_MS, batches });
  const [statuses]: unknown[] = await once(child, "message");
  if (!Array.isArray(statuses)) throw new TypeError("the child answered something else");
  return statuses.map(String);
}

it("stores each event once when several processes make the same new file and ingest the same events", async () => {
  const { path, dispose } = await tempPath();
  const statuses = await Promise.all([0, 311, 640].map((offset) => ingestAll(path, offset)));
  expect(statuses.flat().filter((status) => status === "stored").length).toBe(EVENTS);
  expect(statuses.flat().filter((status) => status === "duplicate").length).toBe(2 * EVENTS);
  const store = await openSqliteStore({ path, bucketMs: BUCKET_MS });
  const events = await store.events({ order: "oldest", limit: 2 * EVENTS });
  expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: EVENTS }, (_, place) => place + 1));
  expect(new Set(events.map(({ event }) => event.id)).size).toBe(EVENTS);
  const buckets = await store.buckets({});
  const total = buckets.reduce((sum, { state }) => sum + (state.value ?? 0n), 0n);
  expect([total, buckets.reduce((sum, { state }) => sum + state.events, 0)]).toEqual([
    fromInteger((EVENTS * (EVENTS - 1)) / 2),
    EVENTS,
  ]);
  const { duplicates, conflicts } = await store.counts();
  expect([duplicates, conflicts]).toEqual([2 * EVENTS, 0]);
  await store.close();
  await dispose();
});
