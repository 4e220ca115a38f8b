import Driver from "better-sqlite3";
import { expect, it, onTestFinished } from "vitest";

import type { EventQuery, Store } from "../../src/engine/ports.ts";
import { calls, catalogOf, chat, START, world } from "../engine/world.ts";
import { tempStore } from "./temp-store.ts";

const catalog = catalogOf(calls);
/** More than two runs of 8,192. */
const EVENTS = 17_000;

/** Every thousandth event is of a rare company, and one in the second run has been assigned to it. */
async function filled(): Promise<{ readonly store: Store; readonly path: string }> {
  const { store, path, dispose } = await tempStore();
  onTestFinished(dispose);
  const { take } = world({ store, catalog });
  await take(
    ...Array.from({ length: EVENTS }, (_, place) =>
      chat("1", { id: String(place + 1), time: START + place, company: companyOf(place + 1) }),
    ),
  );
  const assigned = {
    source: "test",
    id: "9500",
    closes: "identity",
    company: "rare",
    at: START,
    author: "ann",
  } as const;
  await store.amend(assigned, [], [], 0);
  return { store, path };
}

function companyOf(seq: number): string | null {
  if (seq === 9_500) return null;
  return seq % 1_000 === 0 ? "rare" : `company-${seq % 7}`;
}

const RARE = [...Array.from({ length: 17 }, (_, place) => (place + 1) * 1_000), 9_500].toSorted((a, b) => a - b);

async function seqs(store: Store, query: Partial<EventQuery>): Promise<readonly number[]> {
  const found = await store.events({ company: "rare", order: "oldest", limit: 100, ...query });
  return found.map(({ seq }) => seq);
}

it("a company's events are found in the order of arrival, through all runs, assigned ones too", async () => {
  const { store } = await filled();
  expect(await seqs(store, {})).toEqual(RARE);
  expect(await seqs(store, { order: "newest" })).toEqual(RARE.toReversed());
  expect(await seqs(store, { limit: 11 })).toEqual(RARE.slice(0, 11));
  expect(await seqs(store, { order: "newest", limit: 12 })).toEqual(RARE.toReversed().slice(0, 12));
  expect(await seqs(store, { afterSeq: 8_192 })).toEqual(RARE.filter((seq) => seq > 8_192));
  expect(await seqs(store, { order: "newest", beforeSeq: 16_384 })).toEqual(
    RARE.filter((seq) => seq < 16_384).toReversed(),
  );
  expect(await seqs(store, { afterSeq: 17_000 })).toEqual([]);
  expect(await seqs(store, { from: START + 8_999, to: START + 10_000 })).toEqual([9_000, 9_500, 10_000]);
  expect(await seqs(store, { company: "nobody" })).toEqual([]);
}, 60_000);

it("a question for a company reads its run of the index alone", async () => {
  const { path } = await filled();
  const db = new Driver(path, { readonly: true });
  onTestFinished(() => void db.close());
  const plan = db
    .prepare<[], { detail: string }>(
      "EXPLAIN QUERY PLAN SELECT seq FROM events INDEXED BY events_company WHERE seq >> 13 = 1 AND company = 2 AND seq > 9000",
    )
    .all();
  expect(plan[0]?.detail).toMatch(/USING (COVERING )?INDEX events_company \(<expr>=\? AND company=\?/);
}, 60_000);
