import * as fc from "fast-check";
import { expect, it } from "vitest";

import { AGGREGATE_KINDS } from "../../src/core/aggregation.ts";
import type { UsageEvent } from "../../src/core/event.ts";
import { mergeBuckets, type Bucket } from "../../src/core/usage.ts";
import type { Count, Hold, IngestEntry, Store } from "../../src/engine/ports.ts";
import { memoryStore } from "../../src/memory/memory-store.ts";
import { STORE_SUITE_BUCKET_MS } from "../../src/testing/store-suite.ts";
import { HOUR, HOUR_MS, hourWindows } from "../../src/testing/store-suite/store-case.ts";
import { sortedBuckets } from "../../src/testing/store-suite/usage-cases.ts";
import { manyReports, reportAnswers, reportStep, type Step } from "./report-steps.ts";
import { tempStore } from "./temp-store.ts";

const company = fc.constantFrom("acme", "beta", "ACME", "\u00e9\ud800", "");
const group = fc.constantFrom("{}", '{"model":"a"}', '{"model":"b"}');
const time = fc.integer({ min: -3 * HOUR_MS, max: 3 * HOUR_MS }).map((offset) => HOUR + offset);
const early = fc.integer({ min: -HOUR_MS * 2, max: HOUR_MS * 2 });
const decimal = fc.oneof(fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }), fc.bigInt({ min: 0n, max: 3n }));

/** A meter has one aggregate for ever: the name says which. */
const share = fc
  .tuple(fc.constantFrom(...AGGREGATE_KINDS), decimal, group, company)
  .map(([aggregate, number, groupText, payer]) => {
    return { aggregate, number, group: groupText, company: payer };
  });

const event: fc.Arbitrary<UsageEvent> = fc.record({
  source: fc.constantFrom("a", "b"),
  id: fc.constantFrom("1", "2", "3", "4", "5", "6", "7", "8", "9"),
  type: fc.constantFrom("http.request", "job"),
  time: fc.oneof({ weight: 9, arbitrary: time }, { weight: 1, arbitrary: early }),
  company: fc.option(company),
  user: fc.constant(null),
});

function countOf(
  of: UsageEvent,
  { aggregate, number, group: labels, company: payer }: typeof share extends fc.Arbitrary<infer Share> ? Share : never,
): Count {
  const bucketStart = Math.floor(of.time / STORE_SUITE_BUCKET_MS) * STORE_SUITE_BUCKET_MS;
  const value = aggregate === "unique" ? `member ${number % 5n}` : number;
  return { meter: `m_${aggregate}`, aggregate, company: payer, group: labels, bucketStart, value };
}

const hold: fc.Arbitrary<Hold> = fc.record({
  meter: fc.constantFrom("m_sum", "m_unique"),
  reason: fc.constantFrom("no_company", "not_a_number"),
  detail: fc.string({ unit: "binary" }),
  value: fc.option(fc.oneof(decimal, fc.string())),
});

const entry: fc.Arbitrary<IngestEntry> = fc
  .tuple(event, fc.array(share, { maxLength: 3 }), fc.array(hold, { maxLength: 2 }))
  .map(([of, shares, holds]) => ({ event: of, counts: shares.map((each) => countOf(of, each)), holds }));

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.array(entry, { minLength: 1, maxLength: 90 }).map(
      (entries): Step =>
        (store) =>
          store.ingest(entries, HOUR),
    ),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(entry, fc.option(company, { nil: undefined }), fc.constantFrom("identity", "end"))
      .map(amending),
  },
  { weight: 9, arbitrary: reportStep },
  {
    weight: 1,
    arbitrary: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 5 }).map((wished): Step => async (store) => [
      await purgeThere(store, wished),
      sortedBuckets(await store.archivedBuckets()),
    ]),
  },
  { weight: 1, arbitrary: fc.array(entry, { maxLength: 4 }).map(archiving) },
  { weight: 1, arbitrary: fc.constant<Step>((store) => rebuildHalf(store)) },
);

const USAGE_FILTERS = [
  {},
  { meter: "m_sum" },
  { company: "acme" },
  { meter: "m_unique", company: "beta" },
  ...[{}, { meter: "m_sum" }, { meter: "m_latest" }, { meter: "m_unique" }, { meter: "m_min", company: "acme" }].map(
    (filter) => ({ ...filter, grain: "day" }) as const,
  ),
];

function amending([{ event: of, counts, holds }, payer, closes]: [
  IngestEntry,
  string | undefined,
  "identity" | "end",
]): Step {
  const fact = {
    source: of.source,
    id: of.id,
    closes,
    at: HOUR,
    author: "test",
    ...(payer === undefined ? {} : { company: payer }),
  };
  return async (store) => {
    // Buckets follow the stored event's time, as the engine's verdicts do.
    const known = (await store.findEvents(of.id)).find(({ event: { source } }) => source === of.source);
    const bucketStart = Math.floor((known?.event.time ?? 0) / STORE_SUITE_BUCKET_MS) * STORE_SUITE_BUCKET_MS;
    return store.amend(
      fact,
      counts.map((count) => ({ ...count, bucketStart })),
      holds,
      known?.amendments.length ?? 0,
    );
  };
}

async function purgeThere(store: Store, wished: readonly number[]): Promise<number> {
  const events = await store.events({ order: "oldest", limit: 1_000 });
  const gone = events.filter(({ seq }) => wished.includes(seq));
  return store.purge(
    gone.map(({ seq }) => seq),
    [],
    gone.reduce((sum, { amendments }) => sum + amendments.length, 0),
  );
}

function archiving(entries: readonly IngestEntry[]): Step {
  return async (store) => {
    const archive = entries.flatMap(({ counts }) =>
      counts.map(({ meter, aggregate, company: payer, group: labels, bucketStart, value }) => {
        const members = typeof value === "string" ? new Set([value]) : null;
        const state = { events: 1, value: typeof value === "string" ? 0n : value, time: 0, order: 0, members };
        return { meter, aggregate, company: payer, group: labels, start: bucketStart, state };
      }),
    );
    const [first] = await store.events({ order: "oldest", limit: 1 });
    return first === undefined ? 0 : store.purge([first.seq], archive, first.amendments.length);
  };
}

async function rebuildHalf(store: Store): Promise<unknown> {
  const kept = sortedBuckets(await store.buckets({})).filter((_, place) => place % 2 === 0);
  return store.replaceBuckets(mergeBuckets(kept, []), await store.usageRevision());
}

function byMeter(a: { meter: string; state?: string }, b: { meter: string; state?: string }): number {
  return JSON.stringify([a.meter, a.state]) < JSON.stringify([b.meter, b.state]) ? -1 : 1;
}

async function visitedBuckets(store: Store, query: Parameters<Store["eachBucket"]>[0]): Promise<unknown> {
  const visited: Bucket[] = [];
  await store.eachBucket(query, (bucket) => void visited.push(bucket));
  return sortedBuckets(visited);
}

/** Everything that a store can be asked. */
async function answers(store: Store): Promise<unknown> {
  const ranges = [{}, { from: HOUR }, { to: HOUR + 90_000 }, { from: HOUR - 1, to: HOUR + 1 }];
  const pages = ranges.flatMap((range) =>
    [{}, { company: "acme" }, { type: "job" }, { company: "beta", afterSeq: 3 }, { beforeSeq: 9 }].flatMap((filter) =>
      (["oldest", "newest"] as const).flatMap((order) =>
        [1, 7, 1_000].map((limit) => ({ ...range, ...filter, order, limit })),
      ),
    ),
  );
  return {
    events: await Promise.all(pages.map((page) => store.events(page))),
    held: await Promise.all(pages.map((page) => store.held(page))),
    found: await store.findEvents("3"),
    buckets: await Promise.all(
      ranges.flatMap((range) =>
        USAGE_FILTERS.map(async (filter) => sortedBuckets(await store.buckets({ ...range, ...filter }))),
      ),
    ),
    visited: await Promise.all(
      AGGREGATE_KINDS.flatMap((kind) =>
        ([{}, { from: HOUR }, { grain: "day" }, { company: "beta", grain: "day" }] as const).map((query) =>
          visitedBuckets(store, { meter: `m_${kind}`, ...query }),
        ),
      ),
    ),
    archive: sortedBuckets(await store.archivedBuckets()),
    spans: await Promise.all(ranges.map((range) => store.eventsInSpan({ ...range, unheld: true, limit: 30 }))),
    meters: (await store.bucketMeters()).toSorted(),
    lanes: (await store.laneTotals()).toSorted((a, b) =>
      JSON.stringify([a.meter, a.company]) < JSON.stringify([b.meter, b.company]) ? -1 : 1,
    ),
    windows: (await hourWindows(store)).toSorted((a, b) =>
      JSON.stringify([a.windowStart, a.meter, a.company]) < JSON.stringify([b.windowStart, b.meter, b.company])
        ? -1
        : 1,
    ),
    due: (await store.dueTotals(HOUR_MS)).toSorted(byMeter),
    outbox: await reportAnswers(store),
    totals: (await store.outboxTotals()).toSorted(byMeter),
    holds: (await store.holdTotals()).toSorted(byMeter),
    counts: await store.counts(),
  };
}

/** What both stores answer to these calls, then to every question, and once more after the file was opened anew. */
async function bothAnswer(steps: readonly Step[]): Promise<{ readonly sqlite: unknown[]; readonly memory: unknown[] }> {
  const oracle = memoryStore({ bucketMs: STORE_SUITE_BUCKET_MS });
  const made = await tempStore();
  const sqlite: unknown[] = [];
  const memory: unknown[] = [];
  try {
    for (const call of [...steps, answers]) {
      sqlite.push(await call(made.store));
      memory.push(await call(oracle));
    }
    await made.store.close();
    const again = await made.reopen();
    sqlite.push(await answers(again));
    memory.push(await answers(oracle));
    await again.close();
    return { sqlite, memory };
  } finally {
    await made.dispose();
  }
}

it("answers every question as the memory store does, after any history", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
      const { sqlite, memory } = await bothAnswer(steps);
      expect(sqlite).toEqual(memory);
    }),
    { numRuns: 60, seed: 4_711 },
  );
});

it("answers as the memory store does, whatever becomes of reports", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(reportStep, { minLength: 10, maxLength: 40 }), async (steps) => {
      const { sqlite, memory } = await bothAnswer([manyReports, ...steps]);
      expect(sqlite).toEqual(memory);
    }),
    { numRuns: 60, seed: 4_712 },
  );
});
