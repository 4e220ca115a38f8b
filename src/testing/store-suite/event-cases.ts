import { fromInteger } from "../../core/decimal.ts";
import type { UsageEvent } from "../../core/event.ts";
import type { EventQuery, SpanQuery, Store, StoredAmendment } from "../../engine/ports.ts";
import { aCount, anEvent, counted, heldEntry, HOUR, uncounted, type StoreCase } from "./store-case.ts";

const FULL_EVENT: UsageEvent = {
  source: "app",
  id: "full",
  type: "http.request",
  time: HOUR + 1,
  recordedAt: HOUR + 2,
  company: "acme",
  user: "ann",
  request: {
    method: "POST",
    path: "/items/7",
    route: "/items/:id",
    headers: { "x-a": ["1", "2"], "x-b": "3" },
    query: { page: "1", tag: ["x", "y"] },
    params: { id: "7" },
    body: { prompt: "héllo \u0000 \ud800", list: [1, null, true, { deep: [] }] },
  },
  response: { status: 201, headers: { "x-tokens-used": "12" }, body: null },
  metadata: { model: "m", ["__proto__"]: "own" },
  values: { tokens: "9007199254740993.5" },
  durationMs: 12.345,
  aborted: false,
  sessionToken: "5f",
  apiVersion: "2",
  faults: { "response.body": "body_too_large" },
  corrects: { source: "app", id: "wrong" },
};

const all: EventQuery = { order: "oldest", limit: 100 };

async function ids(store: Store, query: Partial<EventQuery>): Promise<readonly string[]> {
  const found = await store.events({ ...all, ...query });
  return found.map(({ event }) => event.id);
}

function assignment(id: string, company: string, at = HOUR): StoredAmendment {
  return { source: "app", id, closes: "identity", company, at, author: "operator" };
}

/** Identity, order, filters and later facts of events. */
export const eventCases: readonly StoreCase[] = [
  {
    title: "gives back the event that it was given, to the last member",
    run: async ({ store, reopen, same }) => {
      const bare = anEvent({ id: "bare", company: null });
      const parts = anEvent({ id: "parts", request: { route: null }, response: {}, aborted: true, metadata: null });
      const path = anEvent({ id: "path", request: { path: "/x", route: "/x", method: "GET" } });
      const odd = anEvent({ id: "odd", request: { path: "\ud800", headers: {} }, metadata: "\u0001" });
      const events = [FULL_EVENT, bare, parts, path, odd];
      await store.ingest(
        events.map((event) => ({ event, counts: [], holds: [] })),
        HOUR,
      );
      const again = await reopen();
      same(
        (await again.events(all)).map(({ event }) => event),
        events,
      );
      same(
        (await again.events(all)).map(({ seq }) => seq),
        [1, 2, 3, 4, 5],
      );
      same(await again.findEvents("full"), [{ seq: 1, event: FULL_EVENT, amendments: [] }]);
      same(await again.findEvents("nobody"), []);
      await again.close();
    },
  },
  {
    title: "stores each identity once, within a batch and between batches, and answers in order",
    run: async ({ store, same }) => {
      const a = counted({ id: "a" }, 5);
      const b = counted({ id: "b" }, 7);
      same(await store.ingest([a, b, a], HOUR), ["stored", "stored", "duplicate"]);
      same(await store.ingest([b, counted({ id: "c" }, 1), a], HOUR), ["duplicate", "stored", "duplicate"]);
      const [bucket, ...more] = await store.buckets({});
      same([bucket?.state.value, bucket?.state.events, more], [fromInteger(13), 3, []]);
      const { events, duplicates, conflicts, lastEventAt } = await store.counts();
      same([events, duplicates, conflicts, lastEventAt], [3, 3, 0, HOUR]);
      same(
        (await store.events(all)).map(({ seq }) => seq),
        [1, 2, 3],
      );
    },
  },
  {
    title: "keeps the first content of an identity and counts the other as a conflict",
    run: async ({ store, same }) => {
      same(await store.ingest([counted({ id: "1", values: { tokens: "5" } }, 5)], HOUR), ["stored"]);
      const other = counted({ id: "1", values: { tokens: "500" } }, 500);
      same(await store.ingest([other], HOUR), ["conflict"]);
      same(await store.ingest([other], HOUR), ["conflict"]);
      same((await store.findEvents("1"))[0]?.event.values, { tokens: "5" });
      same((await store.buckets({}))[0]?.state.value, fromInteger(5));
      same((await store.counts()).conflicts, 1);
    },
  },
  {
    title: "takes the same content recorded at another time for a duplicate",
    run: async ({ store, same }) => {
      const once = {
        ...uncounted({ id: "1" }),
        event: anEvent({ id: "1", recordedAt: HOUR + 1, metadata: { a: 1, b: 2 } }),
      };
      const twice = { ...once, event: anEvent({ id: "1", recordedAt: HOUR + 9, metadata: { b: 2, a: 1 } }) };
      same(await store.ingest([once, twice], HOUR), ["stored", "duplicate"]);
    },
  },
  {
    title: "keeps identities apart: source and id are not glued, case and blanks count",
    run: async ({ store, same }) => {
      const pairs = [
        ["a", "b:c"],
        ["a:b", "c"],
        ["s", "A"],
        ["s", "a"],
        ["s", "a "],
        ["s", "a\u0000b"],
        ["s", "a\u0000c"],
        ["s", "\ud800"],
        ["s", "\udc00"],
        ["s", "\ufffd"],
      ] as const;
      const statuses = await store.ingest(
        pairs.map(([source, id]) => uncounted({ source, id })),
        HOUR,
      );
      same(
        statuses,
        pairs.map(() => "stored"),
      );
      same(
        (await store.events(all)).map(({ event }) => [event.source, event.id]),
        pairs,
      );
      same(await store.findEvents("a "), (await store.events(all)).slice(4, 5));
    },
  },
  {
    title: "finds an id in every source",
    run: async ({ store, same }) => {
      await store.ingest([uncounted({ source: "a", id: "1" }), uncounted({ source: "b", id: "1" })], HOUR);
      same(
        (await store.findEvents("1")).map(({ event }) => event.source),
        ["a", "b"],
      );
    },
  },
  {
    title: "pages events by arrival in both directions",
    run: async ({ store, same }) => {
      await store.ingest(
        ["a", "b", "c", "d", "e"].map((id) => uncounted({ id })),
        HOUR,
      );
      same(await ids(store, { limit: 2 }), ["a", "b"]);
      same(await ids(store, { limit: 2, afterSeq: 2 }), ["c", "d"]);
      same(await ids(store, { order: "newest", limit: 2 }), ["e", "d"]);
      same(await ids(store, { order: "newest", limit: 9, beforeSeq: 3 }), ["b", "a"]);
      same(await ids(store, { afterSeq: 5 }), []);
    },
  },
  {
    title: "filters events by half-open time, company and type",
    run: async ({ store, same }) => {
      await store.ingest(
        [
          uncounted({ id: "a", time: HOUR - 1 }),
          uncounted({ id: "b", time: HOUR, company: "beta" }),
          uncounted({ id: "c", time: HOUR + 1, type: "job" }),
          uncounted({ id: "d", time: HOUR + 2, company: null }),
        ],
        HOUR,
      );
      same(await ids(store, { from: HOUR, to: HOUR + 2 }), ["b", "c"]);
      same(await ids(store, { company: "acme" }), ["a", "c"]);
      same(await ids(store, { company: "acme", order: "newest", limit: 1 }), ["c"]);
      same(await ids(store, { company: "nobody" }), []);
      same(await ids(store, { type: "job" }), ["c"]);
      same(await ids(store, { type: "http.request", company: "acme", from: HOUR }), []);
    },
  },
  {
    title: "shows open holds with their values, a page of events at a time",
    run: async ({ store, same }) => {
      const two = heldEntry("b");
      const second = { meter: "calls", reason: "missing_value", detail: "x \ud800", value: null } as const;
      await store.ingest(
        [
          heldEntry("a"),
          { ...two, holds: [...two.holds, second] },
          uncounted({ id: "c" }),
          heldEntry("d", { meter: "users", value: "ann" }),
        ],
        HOUR,
      );
      const first = {
        source: "app",
        time: HOUR,
        meter: "tokens",
        reason: "no_company",
        detail: "nobody",
        value: fromInteger(7),
      };
      same(await store.held({ ...all, limit: 2 }), [
        { seq: 1, id: "a", ...first },
        { seq: 2, id: "b", ...first },
        { seq: 2, id: "b", source: "app", time: HOUR, ...second },
      ]);
      same(
        (await store.held({ ...all, order: "newest", limit: 1 })).map(({ id, value }) => [id, value]),
        [["d", "ann"]],
      );
      same(
        (await store.held({ ...all, afterSeq: 2 })).map(({ id }) => id),
        ["d"],
      );
      const totals = await store.holdTotals();
      same(
        totals.toSorted((x, y) => (x.meter < y.meter ? -1 : 1)),
        [
          { meter: "calls", holds: 1, value: 0n },
          { meter: "tokens", holds: 2, value: fromInteger(14) },
          { meter: "users", holds: 1, value: 0n },
        ],
      );
      same((await store.counts()).heldEvents, 3);
    },
  },
  {
    title: "amends: the later fact is added, holds are replaced, usage is counted, the event stays",
    run: async ({ store, reopen, same }) => {
      const entry = heldEntry("a");
      await store.ingest([entry, heldEntry("b")], HOUR);
      const fact = assignment("a", "beta");
      const sevenTokens = aCount(entry.event, { company: "beta", value: fromInteger(7) });
      same(await store.amend(fact, [sevenTokens], [], 0), "done");
      const again = await reopen();
      same(await again.findEvents("a"), [{ seq: 1, event: entry.event, amendments: [fact] }]);
      same(
        (await again.held(all)).map(({ id }) => id),
        ["b"],
      );
      same(
        (await again.buckets({ company: "beta" })).map(({ state }) => state.value),
        [fromInteger(7)],
      );
      same(
        (await again.dirtyWindows({ windowMs: 3_600_000, before: HOUR * 2, limit: 9 })).map(({ company }) => company),
        ["beta"],
      );
      same(await again.amend(assignment("unknown", "beta"), [], [], 0), "no_event");
      await again.close();
    },
  },
  {
    title: "takes a replayed amendment for known: nothing is counted twice",
    run: async ({ store, same }) => {
      const entry = heldEntry("a");
      const counts = [aCount(entry.event, { company: "beta" })];
      await store.ingest([entry], HOUR);
      same(await store.amend(assignment("a", "beta", HOUR), counts, [], 0), "done");
      same(await store.amend(assignment("a", "beta", HOUR + 5), counts, [], 0), "done");
      same((await store.findEvents("a"))[0]?.amendments.length, 1);
      // Another fact of the same event adds no second share of a meter that has its own.
      same(await store.amend({ ...assignment("a", "beta"), author: "journal" }, counts, [], 1), "done");
      same(
        (await store.buckets({})).map(({ state }) => state.events),
        [1],
      );
      same((await store.findEvents("a"))[0]?.amendments.length, 2);
    },
  },
  {
    title: "does not let a replayed amendment undo a later one",
    run: async ({ store, same }) => {
      const entry = heldEntry("a");
      await store.ingest([entry], HOUR);
      await store.amend({ ...assignment("a", "alpha"), closes: "end" }, [], entry.holds, 0);
      await store.amend(assignment("a", "alpha"), [aCount(entry.event, { company: "alpha" })], [], 1);
      same(await store.amend({ ...assignment("a", "alpha", HOUR + 1), closes: "end" }, [], entry.holds, 0), "done");
      same(await ids(store, { company: "alpha" }), ["a"]);
      same(await store.held(all), []);
    },
  },
  {
    title: "refuses an amendment that was judged before another one came",
    run: async ({ store, same }) => {
      const entry = heldEntry("a");
      await store.ingest([entry], HOUR);
      const count = aCount(entry.event, { company: "alpha" });
      same(await store.amend(assignment("a", "alpha"), [count], [], 0), "done");
      const end = { source: "app", id: "a", closes: "end", aborted: true, at: HOUR, author: "journal" } as const;
      same(await store.amend(end, [], entry.holds, 0), "stale");
      same(await store.amend(assignment("a", "beta"), [aCount(entry.event, { company: "beta" })], [], 0), "stale");
      same(await store.held(all), []);
      same((await store.findEvents("a"))[0]?.amendments, [assignment("a", "alpha")]);
      same(
        (await store.buckets({})).map(({ company }) => company),
        ["alpha"],
      );
      same(await store.amend(end, [], [], 1), "done");
    },
  },
  {
    title: "pages the events of a span of time by time, then arrival",
    run: async ({ store, same }) => {
      await store.ingest(
        [
          uncounted({ id: "c", time: HOUR + 3 }),
          uncounted({ id: "a", time: HOUR + 1 }),
          heldEntry("b"),
          uncounted({ id: "d", time: HOUR + 3 }),
          uncounted({ id: "e", time: HOUR + 9 }),
        ],
        HOUR,
      );
      const span = async (query: Partial<SpanQuery>): Promise<readonly string[]> =>
        (await store.eventsInSpan({ limit: 9, ...query })).map(({ event }) => event.id);
      same(await span({}), ["b", "a", "c", "d", "e"]);
      same(await span({ unheld: true, limit: 2 }), ["a", "c"]);
      same(await span({ from: HOUR + 1, to: HOUR + 9 }), ["a", "c", "d"]);
      same(await span({ to: HOUR + 9, after: { time: HOUR + 3, seq: 1 } }), ["d"]);
      same(await span({ to: HOUR }), []);
    },
  },
  {
    title: "sees an assigned event under its first company",
    run: async ({ store, same }) => {
      await store.ingest(
        [heldEntry("a"), uncounted({ id: "b", company: "beta" }), uncounted({ id: "c", company: "beta" })],
        HOUR,
      );
      await store.amend(assignment("a", "beta"), [], [], 0);
      await store.amend(assignment("a", "alpha"), [], [], 1);
      await store.amend(assignment("b", "gamma"), [], [], 0);
      const end = { source: "app", id: "c", closes: "end", aborted: true, at: HOUR, author: "journal" } as const;
      await store.amend(end, [], [], 0);
      same(await ids(store, { company: "beta" }), ["a", "b", "c"]);
      same(await ids(store, { company: "beta", order: "newest" }), ["c", "b", "a"]);
      same(await ids(store, { company: "beta", afterSeq: 1 }), ["b", "c"]);
      same(await ids(store, { company: "gamma" }), []);
      same(await ids(store, { company: "alpha" }), []);
    },
  },
];
