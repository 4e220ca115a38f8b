import type { UsageEvent } from "../../core/event.ts";
import type { EventSearch, EventSearchPage, Store } from "../../engine/ports.ts";
import { counted, heldEntry, HOUR, uncounted, type StoreCase } from "./store-case.ts";

const SENT: UsageEvent = {
  source: "app",
  id: "sent",
  type: "prompt",
  time: HOUR,
  recordedAt: HOUR + 5,
  company: "acme",
  user: null,
  subject: "käfer",
  data: { tokens: "9007199254740993.5", ["__proto__"]: { own: true }, list: [null, "\ud800"] },
  attributes: { dataschema: "urn:x", count: 7, flag: false },
};

async function search(store: Store, parts: Partial<EventSearch> = {}): Promise<EventSearchPage> {
  return store.searchEvents({ limit: 9, searchMax: 9, ...parts });
}

async function found(store: Store, parts: Partial<EventSearch> = {}): Promise<readonly string[]> {
  return (await search(store, parts)).events.map(({ event }) => event.id);
}

/** Events that were sent over HTTP: what is kept of a batch, and the search for events. */
export const sentCases: readonly StoreCase[] = [
  {
    title: "gives back an event that was sent, to the last member",
    run: async ({ store, reopen, same }) => {
      const empty: UsageEvent = { ...SENT, id: "empty", data: null, attributes: {} };
      await store.ingest(
        [SENT, empty].map((event) => ({ event, counts: [], holds: [] })),
        HOUR,
      );
      const again = await reopen();
      same(
        (await again.events({ order: "oldest", limit: 9 })).map(({ event }) => event),
        [SENT, empty],
      );
    },
  },
  {
    title: "takes an event with a subject for the same whoever pays for it by now",
    run: async ({ store, same }) => {
      const later: UsageEvent = { ...SENT, company: "globex", recordedAt: HOUR + 9 };
      const other: UsageEvent = { ...SENT, subject: "other" };
      const entries = [SENT, later, other].map((event) => ({ event, counts: [], holds: [] }));
      same(await store.ingest(entries, HOUR), ["stored", "duplicate", "conflict"]);
      same((await store.findEvents("sent"))[0]?.event.company, "acme");
    },
  },
  {
    title: "keeps all of a batch or nothing, where that is wished",
    run: async ({ store, same }) => {
      await store.ingest([counted({ id: "a" }, 5)], HOUR);
      const before = { counts: await store.counts(), usage: await store.buckets({}), at: await store.usageRevision() };
      const batch = [counted({ id: "b", time: HOUR + 9 }, 7), heldEntry("h"), counted({ id: "a", user: "other" }, 6)];
      same(await store.ingest(batch, HOUR, null, "all"), ["stored", "stored", "conflict"]);
      const after = { counts: await store.counts(), usage: await store.buckets({}), at: await store.usageRevision() };
      same(after, before);
      same(await store.held({ order: "oldest", limit: 9 }), []);
      same(await store.ingest([counted({ id: "b" }, 7), counted({ id: "a" }, 5)], HOUR, null, "all"), [
        "stored",
        "duplicate",
      ]);
      same(
        (await store.events({ order: "oldest", limit: 9 })).map(({ seq, event }) => [seq, event.id]),
        [
          [1, "a"],
          [2, "b"],
        ],
      );
    },
  },
  {
    title: "only answers what a batch would be, where nothing is to be kept",
    run: async ({ store, same }) => {
      await store.ingest([counted({ id: "a" }, 5)], HOUR);
      const batch = [counted({ id: "b" }, 7), counted({ id: "b" }, 7), counted({ id: "a", user: "other" }, 6)];
      same(await store.ingest(batch, HOUR, null, "none"), ["stored", "duplicate", "conflict"]);
      const { events, duplicates, conflicts } = await store.counts();
      same([events, duplicates, conflicts], [1, 0, 0]);
      same(await store.ingest(batch, HOUR), ["stored", "duplicate", "conflict"]);
    },
  },
  {
    title: "searches events newest first, by time and then arrival, and says where to go on",
    run: async ({ store, same }) => {
      const times = [3, 1, 3, 2, 9];
      await store.ingest(
        times.map((time, at) => uncounted({ id: `e${at}`, time: HOUR + time })),
        HOUR,
      );
      same(await found(store), ["e4", "e2", "e0", "e3", "e1"]);
      same(await found(store, { from: HOUR + 2, to: HOUR + 9 }), ["e2", "e0", "e3"]);
      const first = await search(store, { limit: 2 });
      same([first.events.map(({ event }) => event.id), first.next], [["e4", "e2"], { time: HOUR + 3, seq: 3 }]);
      same(await found(store, { after: first.next ?? undefined }), ["e0", "e3", "e1"]);
      same((await search(store, { limit: 5 })).next, null);
      same(await search(store, { from: HOUR + 10 }), { events: [], next: null });
    },
  },
  {
    title: "looks at so many events of the span, and says how far it came when few of them fit",
    run: async ({ store, same }) => {
      const numbers = [1, 2, 3, 4, 5, 6];
      await store.ingest(
        numbers.map((each) =>
          uncounted({ id: `e${each}`, time: HOUR + each, type: each % 3 === 0 ? "rare" : "usual" }),
        ),
        HOUR,
      );
      const first = await search(store, { type: "rare", searchMax: 2 });
      same([first.events.map(({ event }) => event.id), first.next], [["e6"], { time: HOUR + 5, seq: 5 }]);
      same(await found(store, { type: "rare", searchMax: 4 }), ["e6", "e3"]);
      const none = await search(store, { type: "none", searchMax: 3 });
      same(none, { events: [], next: { time: HOUR + 4, seq: 4 } });
      const last = await search(store, { type: "rare", searchMax: 4, after: first.next ?? undefined });
      same([last.events.map(({ event }) => event.id), last.next], [["e3"], null]);
    },
  },
  {
    title: "finds events by what they are, and by those who pay now",
    run: async ({ store, same }) => {
      const sent = { event: SENT, counts: [], holds: [] };
      await store.ingest([sent, uncounted({ id: "Plain_1", time: HOUR - 1, company: "beta" }), heldEntry("h")], HOUR);
      const assignment = { source: "app", id: "h", closes: "identity", company: "beta" } as const;
      await store.amend({ ...assignment, at: HOUR, author: "operator" }, [], [], 0);
      same(await found(store, { type: "prompt" }), ["sent"]);
      same(await found(store, { type: "never seen" }), []);
      same(await found(store, { source: "app" }), ["h", "sent", "Plain_1"]);
      same(await found(store, { source: "other" }), []);
      same(await found(store, { subject: "käfer" }), ["sent"]);
      same(await found(store, { subjectPart: "FER" }), ["sent"]);
      same(await found(store, { subjectPart: "%" }), []);
      same(await found(store, { idPart: "AIN_" }), ["Plain_1"]);
      same(await found(store, { recordedFrom: HOUR + 1 }), ["sent"]);
      same(await found(store, { recordedTo: HOUR }), ["Plain_1"]);
      same(await found(store, { companies: ["beta", "nobody"] }), ["h", "Plain_1"]);
      same(await found(store, { companies: [] }), []);
      same(await found(store, { companies: ["beta"], idPart: "h" }), ["h"]);
    },
  },
];
