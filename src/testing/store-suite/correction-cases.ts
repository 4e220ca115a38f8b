import { fromInteger } from "../../core/decimal.ts";
import type { BucketChange, Correction, IngestEntry, Replay, Store, StoredVoiding } from "../../engine/ports.ts";
import {
  aCount,
  anEvent,
  counted,
  countsOfKind,
  heldEntry,
  HOUR,
  hourWindows,
  SUITE_BUCKET_MS,
  type StoreCase,
} from "./store-case.ts";

const all = { order: "oldest", limit: 100 } as const;

function voiding(id: string, parts: Partial<StoredVoiding> = {}): StoredVoiding {
  return { source: "app", id, closes: "void", cause: "wrong", at: HOUR + 9, author: "operator:ann", ...parts };
}

function correction(id: string, parts: Partial<Correction> = {}): Correction {
  return { voiding: voiding(id), seen: 0, buckets: [], replacement: null, ...parts };
}

/** The change of acme's tokens bucket at HOUR to a sum of so many events, null = no bucket. */
async function change(
  store: Store,
  next: { readonly events: number; readonly sum: number } | null,
): Promise<BucketChange> {
  const [bucket] = await store.buckets({ meter: "tokens", company: "acme", from: HOUR, to: HOUR + 1 });
  const seen = bucket?.state ?? null;
  const state = { events: next?.events ?? 0, value: fromInteger(next?.sum ?? 0), time: 0, order: 0, members: null };
  const key = { meter: "tokens", company: "acme", group: "{}", start: HOUR };
  return { ...key, aggregate: "sum", seen, next: next === null ? null : state, basis: null };
}

async function figures(store: Store): Promise<readonly (readonly [string, number, bigint | null])[]> {
  const found = await store.buckets({});
  return found
    .map(({ company, state }) => [company, state.events, state.value] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}

async function meterVersion(store: Store): Promise<void> {
  const { length } = await store.meterVersions();
  await store.addMeterVersions([aVersion(length + 1, HOUR)], length);
}

function aVersion(version: number, effectiveFrom: number): Replay["versions"][number] {
  const definition = {
    key: "tokens",
    name: "Tokens",
    unit: null,
    eventType: null,
    match: [],
    aggregate: "sum",
    value: "values.tokens",
    groupBy: {},
    missingValue: "hold",
    allowNegative: false,
    report: true,
    reportAs: "tokens",
  } as const;
  return { definition, version, effectiveFrom, fields: {}, unknownIdentity: "hold" };
}

/** Voiding and replacing events. */
const voidCases: readonly StoreCase[] = [
  {
    title: "voids an event with its share of the buckets, and marks the window",
    run: async ({ store, reopen, same }) => {
      await store.ingest([counted({ id: "a" }, 5), counted({ id: "b" }, 2)], HOUR);
      const [basis] = await hourWindows(store);
      if (basis !== undefined) await store.enqueue([{ basis, row: null }], HOUR);
      same(await hourWindows(store), []);
      const buckets = [await change(store, { events: 1, sum: 2 })];
      same(await store.correct(correction("a", { buckets }), HOUR), "done");
      same(await figures(store), [["acme", 1, fromInteger(2)]]);
      same(
        (await hourWindows(store)).map(({ total, enqueuedRaw }) => total - enqueuedRaw),
        [fromInteger(-5)],
      );
      const again = await reopen();
      same((await again.findEvents("a"))[0]?.amendments, [voiding("a")]);
      same((await again.counts()).events, 2);
      await again.close();
    },
  },
  {
    title: "stores the event that counts instead in the same step, also in the same bucket",
    run: async ({ store, same }) => {
      await store.ingest([counted({ id: "a" }, 5)], HOUR);
      const event = anEvent({ id: "a~1", source: "correction", corrects: { source: "app", id: "a" } });
      const replacement: IngestEntry = {
        event,
        counts: [aCount(event, { value: fromInteger(7) }), aCount(event, { company: "globex" })],
        holds: [{ meter: "calls", reason: "missing_value", detail: "x", value: null }],
      };
      const buckets = [await change(store, null)];
      same(await store.correct(correction("a", { buckets, replacement }), HOUR), "done");
      same(await figures(store), [
        ["acme", 1, fromInteger(7)],
        ["globex", 1, fromInteger(1)],
      ]);
      same((await store.findEvents("a~1"))[0]?.event, event);
      same(
        (await store.held(all)).map(({ id, meter }) => [id, meter]),
        [["a~1", "calls"]],
      );
      same(
        (await store.events(all)).map(({ seq }) => seq),
        [1, 2],
      );
    },
  },
  {
    title: "closes the holds of an event that is voided, and opens none by a later fact",
    run: async ({ store, same }) => {
      await store.ingest([heldEntry("a")], HOUR);
      const before = await store.usageRevision();
      same(await store.correct(correction("a"), HOUR), "done");
      same(await store.held(all), []);
      same((await store.counts()).heldEvents, 0);
      same((await store.usageRevision()).changes === before.changes, false);
      const end = { source: "app", id: "a", closes: "end", aborted: true, at: HOUR, author: "journal" } as const;
      same(await store.amend(end, [], [], 0), "stale");
      same(await store.amend(end, [], [], 1), "done");
    },
  },
  {
    title: "changes nothing when event, bucket, basis or meters are not as they were seen",
    run: async ({ store, same }) => {
      await store.ingest([counted({ id: "a" }, 5), counted({ id: "b" }, 2)], HOUR);
      const fitting = await change(store, { events: 1, sum: 2 });
      const stale = async (parts: Partial<Correction>): Promise<void> =>
        same(await store.correct(correction("a", { buckets: [fitting], ...parts }), HOUR), "stale");
      await stale({ seen: 1 });
      await stale({ buckets: [{ ...fitting, seen: null }] });
      await stale({ buckets: [{ ...fitting, group: '{"model":"x"}' }] });
      await stale({ buckets: [fitting, { ...fitting, company: "globex" }] });
      await stale({ buckets: [{ ...fitting, basis: { events: 1, amendments: 0 } }] });
      await stale({ buckets: [{ ...fitting, basis: { events: 2, amendments: 1 } }] });
      same(await store.correct(correction("c"), HOUR), "no_event");
      same(await store.correct(correction("a", { voiding: voiding("a", { source: "other" }) }), HOUR), "no_event");
      const taken = { event: anEvent({ id: "b" }), counts: [], holds: [] };
      same(await store.correct(correction("a", { buckets: [fitting], replacement: taken }), HOUR), "taken");
      await meterVersion(store);
      const old = await store.correct(correction("a", { buckets: [fitting] }), HOUR, 0).catch(() => "refused");
      same(old, "refused");
      same(await figures(store), [["acme", 2, fromInteger(7)]]);
      same((await store.findEvents("a"))[0]?.amendments, []);
      const basis = { events: 2, amendments: 0 };
      same(await store.correct(correction("a", { buckets: [{ ...fitting, basis }] }), HOUR, 1), "done");
      same(await store.correct(correction("a", { seen: 1 }), HOUR), "stale");
    },
  },
  {
    title: "takes distinct texts out of a bucket, and a bucket without events out of all",
    run: async ({ store, same }) => {
      const event = anEvent({ id: "a" });
      await store.ingest(
        [
          { event, counts: [countsOfKind(event, "unique", "x")], holds: [] },
          { event: anEvent({ id: "b" }), counts: [countsOfKind(event, "unique", "y")], holds: [] },
        ],
        HOUR,
      );
      const [bucket] = await store.buckets({});
      if (bucket === undefined) throw new Error("expected a bucket");
      const { state: seen, ...key } = bucket;
      const next = { ...seen, events: 1, members: new Set(["y"]) };
      const basis = { events: 2, amendments: 0 };
      same(await store.correct(correction("a", { buckets: [{ ...key, seen, next, basis }] }), HOUR), "done");
      same((await store.buckets({}))[0]?.state, next);
      const last = { ...key, seen: next, next: null, basis: { events: 2, amendments: 1 } };
      same(await store.correct(correction("b", { buckets: [last] }), HOUR), "done");
      same(await store.buckets({}), []);
      same(await store.bucketMeters(), []);
    },
  },
];

async function replayOf(store: Store, parts: Partial<Replay> = {}): Promise<Replay> {
  const { length: meters } = await store.meterVersions();
  const span = { from: HOUR, to: HOUR + 2 * SUITE_BUCKET_MS };
  const versions = [{ ...aVersion(meters + 1, HOUR - 5), replayed: { author: "operator:ann", cause: "c", at: HOUR } }];
  const usage = await store.usageRevision();
  return { meter: "tokens", versions, meters, usage, ...span, buckets: [], holds: [], ...parts };
}

/** Judging the past anew. */
const replayCases: readonly StoreCase[] = [
  {
    title: "replaces a meter's usage of a span and its events' holds, by versions that begin in the past",
    run: async ({ store, reopen, same }) => {
      const late = HOUR + 2 * SUITE_BUCKET_MS;
      const other = anEvent({ id: "other" });
      await store.ingest(
        [
          counted({ id: "a" }, 5),
          counted({ id: "b", time: late }, 2),
          { event: other, counts: [aCount(other, { meter: "calls" })], holds: [] },
          heldEntry("held"),
        ],
        HOUR,
      );
      await meterVersion(store);
      for (const basis of await hourWindows(store)) await store.enqueue([{ basis, row: null }], HOUR);
      const [bucket] = await store.buckets({ meter: "tokens", to: HOUR + 1 });
      if (bucket === undefined) throw new Error("expected a bucket");
      const next = { ...bucket, company: "globex" };
      const holds = [
        { seq: 1, holds: [{ meter: "tokens", reason: "missing_value" as const, detail: "x", value: null }] },
        { seq: 4, holds: [] },
      ];
      const replay = await replayOf(store, { buckets: [next], holds });
      same(await store.replay(replay), true);
      same(await store.buckets({ meter: "tokens", to: late }), [next]);
      same((await store.buckets({ meter: "tokens", from: late })).length, 1);
      same((await store.buckets({ meter: "calls" })).length, 1);
      same(
        (await store.held(all)).map(({ id, reason }) => [id, reason]),
        [["a", "missing_value"]],
      );
      same((await hourWindows(store)).map(({ meter, company }) => `${meter} ${company}`).toSorted(byText), [
        "tokens acme",
        "tokens globex",
      ]);
      const again = await reopen();
      same((await again.meterVersions()).slice(1), replay.versions);
      await again.close();
    },
  },
  {
    title: "replays nothing when meters or usage moved since it was computed",
    run: async ({ store, same }) => {
      await store.ingest([counted({ id: "a" }, 5), heldEntry("held")], HOUR);
      const first = await replayOf(store);
      await store.ingest([counted({ id: "b" }, 1)], HOUR);
      same(await store.replay(first), false);
      const second = await replayOf(store);
      await store.correct(correction("held"), HOUR);
      same(await store.replay(second), false);
      const third = await replayOf(store);
      await meterVersion(store);
      same(await store.replay(third), false);
      same(await store.replay({ ...(await replayOf(store)), meters: 0 }), false);
      same(await figures(store), [["acme", 2, fromInteger(6)]]);
      same((await store.meterVersions()).length, 1);
    },
  },
  {
    title: "forgets what amendments counted by the versions of before",
    run: async ({ store, same }) => {
      const entry = heldEntry("a");
      await store.ingest([entry], HOUR);
      const assigned = {
        source: "app",
        id: "a",
        closes: "identity",
        company: "acme",
        at: HOUR,
        author: "cli",
      } as const;
      same(await store.amend(assigned, [aCount(entry.event, { company: "acme" })], [], 0), "done");
      same(await store.replay(await replayOf(store)), true);
      same(await store.buckets({}), []);
      const end = { source: "app", id: "a", closes: "end", at: HOUR, author: "journal" } as const;
      const counts = [aCount(entry.event, { company: "acme", value: fromInteger(3) })];
      same(await store.amend(end, counts, [], 1), "done");
      same(await figures(store), [["acme", 1, fromInteger(3)]]);
    },
  },
  {
    title: "knows until when events may be deleted, and deletes none that were judged by old meters",
    run: async ({ store, reopen, same }) => {
      const entries = [counted({ id: "a", time: HOUR + 7 }, 5), counted({ id: "b", time: HOUR + 3 }, 2)];
      await store.ingest(entries, HOUR);
      same(await store.purgedUntil(), null);
      await meterVersion(store);
      same(await store.purge([1], [], 0, 0).catch(() => "refused"), "refused");
      same(await store.purge([1], [], 0, 1), 1);
      same(await store.purgedUntil(), HOUR + 8);
      same(await store.purge([2], [], 0), 1);
      const again = await reopen();
      same(await again.purgedUntil(), HOUR + 8);
      await again.close();
    },
  },
];

/** Corrections by an operator. */
export const correctionCases: readonly StoreCase[] = [...voidCases, ...replayCases];
