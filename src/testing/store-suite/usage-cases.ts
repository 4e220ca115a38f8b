import type { AggregateKind } from "../../core/aggregation.ts";
import { fromInteger, type Decimal } from "../../core/decimal.ts";
import type { Bucket } from "../../core/usage.ts";
import type { Store } from "../../engine/ports.ts";
import {
  aCount,
  anEvent,
  counted,
  countsOfKind,
  HOUR,
  hourWindows,
  reportOf,
  SUITE_BUCKET_MS,
  uncounted,
  type StoreCase,
} from "./store-case.ts";

/** Buckets in one order, so that two stores' answers can be compared. */
export function sortedBuckets(buckets: readonly Bucket[]): readonly Bucket[] {
  return buckets.toSorted((a, b) => (keyText(a) < keyText(b) ? -1 : 1));
}

function keyText({ meter, company, group, start }: Bucket): string {
  return JSON.stringify([meter, company, start, group]);
}

async function values(store: Store, query: Parameters<Store["buckets"]>[0]): Promise<readonly (Decimal | null)[]> {
  return sortedBuckets(await store.buckets(query)).map(({ state }) => state.value);
}

function bucket(parts: Partial<Bucket> & { readonly tokens: number }): Bucket {
  const { tokens, ...key } = parts;
  const state = { events: 1, value: fromInteger(tokens), time: 0, order: 0, members: null };
  return { meter: "tokens", company: "acme", group: "{}", start: HOUR, aggregate: "sum", state, ...key };
}

/** Buckets: merging, filters, rebuilding, the archive. */
export const usageCases: readonly StoreCase[] = [
  {
    title: "keeps every aggregate over batches, exactly",
    run: async ({ store, reopen, same }) => {
      const put = async (id: string, time: number, number: number, text: string): Promise<void> => {
        const event = anEvent({ id, time });
        const kinds = ["count", "sum", "min", "max", "avg", "latest"] as const;
        const counts = [...kinds.map((kind) => countsOfKind(event, kind, number)), countsOfKind(event, "unique", text)];
        await store.ingest([{ event, counts, holds: [] }], HOUR);
      };
      await put("1", HOUR + 5, 10, "x");
      await put("2", HOUR + 9, 3, "y");
      await put("3", HOUR + 7, 20, "x");
      await put("4", HOUR + 9, 4, "\ud800");
      const again = await reopen();
      const found = new Map((await again.buckets({})).map(({ aggregate, state }) => [aggregate, state]));
      const state = (kind: AggregateKind): unknown => found.get(kind);
      const plain = { events: 4, time: 0, order: 0, members: null };
      same(state("count"), { ...plain, value: 0n });
      same(state("sum"), { ...plain, value: fromInteger(37) });
      same(state("avg"), { ...plain, value: fromInteger(37) });
      same(state("min"), { ...plain, value: fromInteger(3) });
      same(state("max"), { ...plain, value: fromInteger(20) });
      same(state("latest"), { ...plain, value: fromInteger(4), time: HOUR + 9, order: 4 });
      same(state("unique"), { ...plain, value: 0n, members: new Set(["x", "y", "\ud800"]) });
      await again.close();
    },
  },
  {
    title: "adds numbers beyond 64 bits without losing a digit",
    run: async ({ store, same }) => {
      const great = 10n ** 37n + 1n;
      for (const id of ["1", "2", "3"]) {
        const event = anEvent({ id });
        await store.ingest([{ event, counts: [aCount(event, { value: great })], holds: [] }], HOUR);
      }
      same(await values(store, {}), [3n * great]);
      same(
        (await hourWindows(store)).map(({ total }) => total),
        [3n * great],
      );
    },
  },
  {
    title: "filters buckets by meter, company and the range that they touch",
    run: async ({ store, same }) => {
      const event = anEvent({ id: "x" });
      const other = { event, counts: [aCount(event, { meter: "calls", value: fromInteger(9) })], holds: [] };
      await store.ingest(
        [
          counted({ id: "a", time: HOUR - 1 }, 1),
          counted({ id: "b", time: HOUR }, 2),
          counted({ id: "c", time: HOUR + SUITE_BUCKET_MS }, 4),
          counted({ id: "d", company: "beta" }, 8),
          other,
        ],
        HOUR,
      );
      const tokens = { meter: "tokens", company: "acme" };
      same(await values(store, tokens), [1, 2, 4].map(fromInteger));
      same(await values(store, { ...tokens, from: HOUR }), [2, 4].map(fromInteger));
      same(await values(store, { ...tokens, from: HOUR - 1, to: HOUR }), [1].map(fromInteger));
      same(await values(store, { ...tokens, from: HOUR + 1, to: HOUR + SUITE_BUCKET_MS + 1 }), [2, 4].map(fromInteger));
      same(await values(store, { company: "beta" }), [fromInteger(8)]);
      same(await values(store, { meter: "calls" }), [fromInteger(9)]);
      same(await values(store, { meter: "nothing" }), []);
    },
  },
  {
    title: "keeps groups apart and adds them up in a window",
    run: async ({ store, same }) => {
      const event = anEvent({ id: "a" });
      const groups = ['{"model":"a"}', '{"model":"b"}', '{"__proto__":"c"}'];
      const counts = groups.map((group, place) => aCount(event, { group, value: fromInteger(place + 1) }));
      await store.ingest([{ event, counts, holds: [] }], HOUR);
      same((await store.buckets({})).map(({ group }) => group).toSorted(), groups.toSorted());
      same(
        (await hourWindows(store)).map(({ total }) => total),
        [fromInteger(6)],
      );
    },
  },
  {
    title: "replaces buckets, and marks only windows in which something changed",
    run: async ({ store, same }) => {
      const late = HOUR + 3_600_000;
      await store.ingest(
        [counted({ id: "a" }, 1), counted({ id: "b", time: late }, 2), counted({ id: "c", company: "gone" }, 3)],
        HOUR,
      );
      for (const basis of await hourWindows(store)) {
        await store.enqueue([{ basis, row: null }], HOUR);
      }
      same(await hourWindows(store), []);
      const revision = await store.usageRevision();
      same(await store.replaceBuckets([bucket({ tokens: 1 }), bucket({ start: late, tokens: 5 })], revision), true);
      same(await values(store, {}), [1, 5].map(fromInteger));
      const changed = await hourWindows(store);
      same(
        changed.map(({ company, windowStart, total }) => [company, windowStart, total]),
        [
          ["gone", HOUR, 0n],
          ["acme", late, fromInteger(5)],
        ],
      );
    },
  },
  {
    title: "refuses buckets that were computed before usage arrived",
    run: async ({ store, same }) => {
      await store.ingest([counted({ id: "a" }, 1)], HOUR);
      const before = await store.usageRevision();
      await store.ingest([counted({ id: "b" }, 2)], HOUR);
      same(await store.replaceBuckets([bucket({ tokens: 1 })], before), false);
      same(await values(store, {}), [fromInteger(3)]);
      const amended = await store.usageRevision();
      const { source } = anEvent({ id: "a" });
      await store.amend({ source, id: "a", closes: "end", aborted: true, at: HOUR, author: "test" }, [], [], 0);
      same(await store.replaceBuckets([], amended), false);
      same(await store.replaceBuckets([bucket({ tokens: 3 })], await store.usageRevision()), true);
      same(await values(store, {}), [fromInteger(3)]);
    },
  },
  {
    title: "tells whether one of some events was amended",
    run: async ({ store, same }) => {
      await store.ingest([counted({ id: "a", time: 5 }, 1), uncounted({ id: "b", time: 6, type: "other" })], HOUR);
      const { lastSeq, amendments: none, settled, changes } = await store.usageRevision();
      const amend = async (id: string): Promise<void> => {
        const { source } = anEvent({ id });
        await store.amend({ source, id, closes: "end", aborted: true, at: HOUR, author: "test" }, [], [], 0);
      };
      const any = { from: 0, to: HOUR, lastSeq, after: none };
      same([none, await store.wereAmended(any)], [0, false]);
      await amend("b");
      const { amendments: one, ...after } = await store.usageRevision();
      same([after.settled, after.changes === changes, one > none], [settled, false, true]);
      const asked = [
        {},
        { after: one },
        { type: "other" },
        { type: "no" },
        { to: 6 },
        { from: 7 },
        { lastSeq: lastSeq - 1 },
      ];
      const told = await Promise.all(asked.map((each) => store.wereAmended({ ...any, ...each })));
      same(told, [true, false, true, false, false, false, false]);
      await store.ingest([counted({ id: "c", time: 5 }, 1)], HOUR);
      await amend("c");
      same(await store.wereAmended({ ...any, after: one }), false);
      await amend("a");
      same(await store.wereAmended({ ...any, after: one }), true);
    },
  },
  {
    title: "purges events and keeps their usage, also through a rebuild",
    run: async ({ store, reopen, same }) => {
      await store.ingest(
        [counted({ id: "a" }, 1), counted({ id: "b" }, 2), uncounted({ id: "c" }), counted({ id: "d" }, 4)],
        HOUR,
      );
      const before = await store.usageRevision();
      const archive = [bucket({ tokens: 1 }), bucket({ tokens: 2 })];
      same(await store.purge([1, 2], archive, 1), 0);
      same(await store.purge([1, 2, 9], archive, 0), 0);
      same(await store.purge([], archive, 0), 0);
      same(await store.archivedBuckets(), []);
      same(await store.purge([1, 2], archive, 0), 2);
      same(await store.purge([2, 3], archive, 0), 0);
      same(await store.replaceBuckets([], before), false);
      const again = await reopen();
      same(
        (await again.events({ order: "oldest", limit: 9 })).map(({ event }) => event.id),
        ["c", "d"],
      );
      same((await again.counts()).events, 2);
      same(await values(again, {}), [fromInteger(7)]);
      const archived = {
        ...bucket({ tokens: 3 }),
        state: { events: 2, value: fromInteger(3), time: 0, order: 0, members: null },
      };
      same(await again.archivedBuckets(), [archived]);
      await again.replaceBuckets([bucket({ tokens: 4 })], await again.usageRevision());
      same(await values(again, {}), [fromInteger(7)]);
      same(await again.purge([3, 4], [bucket({ tokens: 4 })], 0), 2);
      same(await again.archivedBuckets(), [
        { ...archived, state: { ...archived.state, events: 3, value: fromInteger(7) } },
      ]);
      same(await again.ingest([counted({ id: "e" }, 8)], HOUR), ["stored"]);
      same(
        (await again.findEvents("e")).map(({ seq }) => seq),
        [5],
      );
      same(await values(again, {}), [fromInteger(15)]);
      await again.close();
    },
  },
  {
    title: "deletes events out of the middle, and filters their archive as other usage",
    run: async ({ store, same }) => {
      await store.ingest(
        [counted({ id: "a" }, 1), counted({ id: "b", company: "beta" }, 2), counted({ id: "c" }, 4)],
        HOUR,
      );
      same(await store.purge([2], [bucket({ tokens: 2, company: "beta" })], 0), 1);
      same(
        (await store.events({ order: "oldest", limit: 9 })).map(({ seq }) => seq),
        [1, 3],
      );
      same((await store.archivedBuckets({ company: "beta", from: HOUR, to: HOUR + 1 })).length, 1);
      same(await store.archivedBuckets({ company: "acme" }), []);
      same(await store.archivedBuckets({ meter: "calls" }), []);
      same(await store.archivedBuckets({ from: HOUR + SUITE_BUCKET_MS }), []);
      same(await store.bucketMeters(), ["tokens"]);
    },
  },
  {
    title: "shows a snapshot as it was, whatever is written meanwhile",
    run: async ({ store, same }) => {
      await store.ingest([counted({ id: "a" }, 1), counted({ id: "b" }, 2)], HOUR);
      const then = await store.snapshot();
      const revision = await then.usageRevision();
      await store.ingest([counted({ id: "c" }, 4)], HOUR);
      const { source } = anEvent({ id: "b" });
      await store.amend({ source, id: "b", closes: "end", aborted: true, at: HOUR, author: "test" }, [], [], 0);
      await store.purge([1], [bucket({ tokens: 1 })], 0);
      for (const basis of await hourWindows(store)) await store.enqueue([{ basis, row: reportOf(basis) }], HOUR);
      await store.putNote("later", "yes");
      const found = await then.events({ order: "oldest", limit: 9 });
      same(
        found.map(({ event, amendments }) => [event.id, amendments.length]),
        [
          ["a", 0],
          ["b", 0],
        ],
      );
      same(
        (await then.buckets({})).map(({ state }) => state.value),
        [fromInteger(3)],
      );
      same(await then.archivedBuckets(), []);
      same(await then.outboxTotals(), []);
      same(await then.laneTotals(), []);
      same((await then.dueTotals(3_600_000)).length, 1);
      same((await then.counts()).events, 2);
      same(await then.getNote("later"), null);
      same(await then.usageRevision(), revision);
      await then.close();
      const lane = { raw: fromInteger(7), value: fromInteger(7) };
      const running = { runningRaw: lane.raw, runningValue: lane.value, cancels: 0 };
      same(await store.laneTotals(), [{ meter: "tokens", company: "acme", ...lane, ...running }]);
      same(await store.replaceBuckets([], revision), false);
    },
  },
  {
    title: "keeps the members of purged unique usage",
    run: async ({ store, same }) => {
      const event = anEvent({ id: "a" });
      const counts = ["x", "y"].map((value) => countsOfKind(event, "unique", value));
      await store.ingest([{ event, counts, holds: [] }], HOUR);
      const state = { events: 2, value: 0n, time: 0, order: 0, members: new Set(["x", "y"]) };
      const archived: Bucket = {
        meter: "m_unique",
        company: "acme",
        group: "{}",
        start: HOUR,
        aggregate: "unique",
        state,
      };
      same(await store.purge([1], [archived], 0), 1);
      await store.replaceBuckets([], await store.usageRevision());
      same(await store.buckets({}), [archived]);
      same(await store.archivedBuckets(), [archived]);
    },
  },
];
