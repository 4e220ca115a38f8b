import { AGGREGATE_KINDS } from "../../core/aggregation.ts";
import { owns } from "../../core/own-member.ts";
import { dayBuckets, DAY_MS, dayStart, type Bucket } from "../../core/usage.ts";
import type { BucketChange, IngestEntry, Store, UsageQuery } from "../../engine/ports.ts";
import { anEvent, countsOfKind, HOUR, HOUR_MS, SUITE_BUCKET_MS, type CaseTools, type StoreCase } from "./store-case.ts";
import { sortedBuckets } from "./usage-cases.ts";

/** An event that every kind of meter counts. */
function ofAllKinds(id: string, time: number, number: number, company = "acme"): IngestEntry {
  const event = anEvent({ id, time, company });
  const counts = AGGREGATE_KINDS.map((kind) =>
    countsOfKind(event, kind, kind === "unique" ? `text ${number % 3}` : number),
  );
  return { event, counts, holds: [] };
}

/** Days, asked in every way, must be what the buckets add up to. */
async function daysFit(store: Store, same: CaseTools["same"]): Promise<void> {
  const meters = AGGREGATE_KINDS.map((kind) => `m_${kind}`);
  const day = dayStart(HOUR);
  const ranges = [{}, { from: day }, { to: day + 1 }, { from: day - 1, to: day + DAY_MS }];
  for (const filter of [
    {},
    { company: "acme" },
    { company: "nobody" },
    ...meters.map((meter) => ({ meter })),
    { meter: "none" },
  ]) {
    for (const range of ranges) {
      const wanted = dayBuckets(await store.buckets(filter)).filter(
        ({ start }) => start + DAY_MS > (range.from ?? start) && start < (range.to ?? Number.MAX_SAFE_INTEGER),
      );
      same(sortedBuckets(await store.buckets({ ...filter, ...range, grain: "day" })), sortedBuckets(wanted));
      if (owns(filter, "meter")) await visitsFit(store, { ...filter, ...range }, same);
    }
  }
}

/** Visiting one by one must give what asking for all gives, of days and of buckets. */
async function visitsFit(
  store: Store,
  query: UsageQuery & { readonly meter: string },
  same: CaseTools["same"],
): Promise<void> {
  for (const asked of [query, { ...query, company: "beta" }, { ...query, grain: "day" } as const]) {
    const visited: Bucket[] = [];
    await store.eachBucket(asked, (bucket) => void visited.push(bucket));
    same(sortedBuckets(visited), sortedBuckets(await store.buckets(asked)));
  }
}

/** So many events over four days, in an order that has nothing to do with their times. */
function spread(count: number): readonly IngestEntry[] {
  return Array.from({ length: count }, (_, place) => {
    const hours = ((place * 37) % 96) - 48;
    const company = place % 3 === 0 ? "beta" : "acme";
    return ofAllKinds(`e${place}`, HOUR + hours * HOUR_MS + place * 1_000, ((place * 7_919) % 101) - 50, company);
  });
}

/** The change that takes a whole bucket away, or doubles what it says. */
function changed({ state, ...key }: Bucket, next: "gone" | "more"): BucketChange {
  const more = { ...state, events: state.events + 1, value: state.value === null ? null : state.value + 5n };
  return { ...key, seen: state, next: next === "gone" ? null : more, basis: null };
}

/** Usage by UTC day. */
export const dayCases: readonly StoreCase[] = [
  {
    title: "adds usage up by UTC day, whatever order it comes in",
    run: async ({ store, reopen, same }) => {
      same(await store.buckets({ grain: "day" }), []);
      const entries = spread(80);
      for (let place = 0; place < entries.length; place += 7) await store.ingest(entries.slice(place, place + 7), HOUR);
      await store.ingest(entries.slice(0, 30), HOUR);
      await daysFit(store, same);
      const days = await store.buckets({ meter: "m_count", company: "acme", grain: "day" });
      same(days.length > 3, true);
      same(
        days.every(({ start }) => start % DAY_MS === 0),
        true,
      );
      const again = await reopen();
      await daysFit(again, same);
      await again.close();
    },
  },
  {
    title: "adds what an amendment counts to its day",
    run: async ({ store, same }) => {
      await store.ingest([...spread(10), { event: anEvent({ id: "a", company: null }), counts: [], holds: [] }], HOUR);
      const { counts } = ofAllKinds("a", HOUR, 12);
      const fact = { source: "app", id: "a", closes: "identity", company: "acme", at: HOUR, author: "cli" } as const;
      same(await store.amend(fact, counts, [], 0), "done");
      await daysFit(store, same);
    },
  },
  {
    title: "keeps days right when buckets are corrected, replayed and replaced",
    run: async ({ store, same }) => {
      await store.ingest(spread(60), HOUR);
      const buckets = await store.buckets({ company: "acme" });
      const changes = buckets
        .filter((_, place) => place % 3 === 0)
        .map((bucket, place) => changed(bucket, place % 2 === 0 ? "gone" : "more"));
      const voiding = { source: "app", id: "e1", closes: "void", cause: "c", at: HOUR, author: "operator:a" } as const;
      const replacement = ofAllKinds("e1~1", HOUR + 5, 99);
      same(await store.correct({ voiding, seen: 0, buckets: changes, replacement }, HOUR), "done");
      await daysFit(store, same);
      for (const meter of ["m_max", "m_sum"]) {
        const span = { from: HOUR - 20 * HOUR_MS, to: HOUR + 9 * HOUR_MS };
        const inside = (await store.buckets({ meter, ...span })).filter(({ start }) => start >= span.from);
        const kept = inside.slice(1).map((bucket) => ({ ...bucket, company: "globex" }));
        const usage = await store.usageRevision();
        same(await store.replay({ meter, versions: [], meters: 0, usage, ...span, buckets: kept, holds: [] }), true);
        await daysFit(store, same);
      }
      const half = (await store.buckets({})).filter((_, place) => place % 2 === 0);
      same(await store.replaceBuckets(half, await store.usageRevision()), true);
      await daysFit(store, same);
    },
  },
  {
    title: "keeps the days of purged events",
    run: async ({ store, reopen, same }) => {
      await store.ingest(spread(30), HOUR);
      const before = sortedBuckets(await store.buckets({ grain: "day" }));
      const seqs = Array.from({ length: 30 }, (_, place) => place + 1);
      same(await store.purge(seqs, await store.buckets({}), 0), 30);
      same(sortedBuckets(await store.buckets({ grain: "day" })), before);
      same(await store.replaceBuckets([], await store.usageRevision()), true);
      await daysFit(store, same);
      same(sortedBuckets(await store.buckets({ grain: "day" })), before);
      const again = await reopen();
      same(sortedBuckets(await again.buckets({ grain: "day" })), before);
      await again.close();
    },
  },
  {
    title: "shows the days of a snapshot as they were",
    run: async ({ store, same }) => {
      await store.ingest(spread(9), HOUR);
      const before = sortedBuckets(await store.buckets({ grain: "day" }));
      const then = await store.snapshot();
      await store.ingest([ofAllKinds("later", HOUR + SUITE_BUCKET_MS, 7)], HOUR);
      same(sortedBuckets(await then.buckets({ grain: "day" })), before);
      await then.close();
      await daysFit(store, same);
    },
  },
];
