import type { Json } from "../../core/event.ts";
import type { RegisterChange, RegisterEntry, Store } from "../../engine/ports.ts";
import { HOUR, type StoreCase } from "./store-case.ts";

/** A change that makes a new customer, unless the parts say otherwise. */
function aChange(id: string, parts: Partial<RegisterChange> = {}): RegisterChange {
  return { kind: "customer", id, seen: null, names: [], body: { of: id }, author: "operator:ada", ...parts };
}

function anEntry(id: string, parts: Partial<RegisterEntry> = {}): RegisterEntry {
  const times = { createdAt: HOUR, updatedAt: HOUR, deletedAt: null };
  return { kind: "customer", id, names: [], body: { of: id }, revision: 1, ...times, ...parts };
}

/** Makes entries at HOUR; fails when one could not be made. */
async function make(store: Store, ...changes: readonly RegisterChange[]): Promise<void> {
  const outcome = await store.changeEntries(changes, HOUR);
  if (!outcome.done) throw new Error(JSON.stringify(outcome));
}

async function idsOf(store: Pick<Store, "listEntries">, query: Partial<Parameters<Store["listEntries"]>[0]> = {}) {
  return (await store.listEntries({ kind: "customer", limit: 100, ...query })).map(({ id }) => id);
}

/** Everything of two entries that a refused call could have changed. */
async function stateOf(store: Store): Promise<unknown> {
  const histories = await Promise.all(["a", "b", "c"].map((id) => store.entryHistory("customer", id)));
  const holders = await Promise.all(["x", "y", "z"].map((name) => store.findEntry("customer", name)));
  const entries = await store.listEntries({ kind: "customer", includeDeleted: true, limit: 100 });
  return [entries, histories, holders, await store.registerRevision("customer")];
}

/** What is made over the API, the file or the command line, with its names and its history. */
export const registerCases: readonly StoreCase[] = [
  {
    title: "keeps entries of the register by kind, id and name, and over a restart",
    run: async ({ store, reopen, same }) => {
      same([await store.getEntry("customer", "a"), await store.findEntry("customer", "x")], [null, null]);
      const body: Json = { n: 1, list: [true, null, "\ud800"], deep: { "": "é" } };
      const made = await store.changeEntries(
        [aChange("a", { names: ["x", "y", "x"], body }), aChange("a", { kind: "subject", names: ["x"], body: "text" })],
        HOUR,
      );
      const [customer, subject] = [
        anEntry("a", { names: ["x", "y"], body }),
        anEntry("a", { kind: "subject", names: ["x"], body: "text" }),
      ];
      same(made, { done: true, entries: [customer, subject] });
      const again = await reopen();
      same(await again.getEntry("customer", "a"), customer);
      same(await again.findEntry("customer", "y"), customer);
      same(await again.findEntry("subject", "x"), subject);
      same([await again.findEntry("subject", "y"), await again.getEntry("meter", "a")], [null, null]);
      same([await again.countEntries("customer"), await again.countEntries("meter")], [1, 0]);
    },
  },
  {
    title: "changes an entry from the revision that was seen, and never from an older one",
    run: async ({ store, same }) => {
      await make(store, aChange("a", { names: ["x"] }));
      const change = aChange("a", { seen: 1, names: ["y"], body: 2 });
      const changed = anEntry("a", { names: ["y"], body: 2, revision: 2, updatedAt: HOUR + 5 });
      same(await store.changeEntries([change], HOUR + 5), { done: true, entries: [changed] });
      for (const seen of [1, 3, null])
        same(await store.changeEntries([{ ...change, seen }], HOUR + 6), { done: false, at: 0, why: "stale" });
      same(await store.changeEntries([aChange("b", { seen: 1 })], HOUR + 6), { done: false, at: 0, why: "missing" });
      same(await store.getEntry("customer", "a"), changed);
      same([await store.findEntry("customer", "x"), await store.findEntry("customer", "y")], [null, changed]);
    },
  },
  {
    title: "deletes an entry for good: its names are free, its body and its id stay",
    run: async ({ store, same }) => {
      await make(store, aChange("a", { names: ["x"] }), aChange("b"));
      const gone = anEntry("a", { revision: 2, updatedAt: HOUR + 5, deletedAt: HOUR + 5 });
      const end = aChange("a", { seen: 1, names: ["y"], body: null });
      same(await store.changeEntries([end], HOUR + 5), { done: true, entries: [gone] });
      same(await store.getEntry("customer", "a"), gone);
      same([await store.findEntry("customer", "x"), await store.findEntry("customer", "y")], [null, null]);
      same([await idsOf(store), await idsOf(store, { includeDeleted: true })], [["b"], ["a", "b"]]);
      same(await store.countEntries("customer"), 1);
      same(await store.changeEntries([aChange("a", { seen: 2 })], HOUR + 6), { done: false, at: 0, why: "missing" });
      same(await store.changeEntries([aChange("a")], HOUR + 6), { done: false, at: 0, why: "stale" });
      await make(store, aChange("c", { names: ["x"] }));
      same((await store.findEntry("customer", "x"))?.id, "c");
    },
  },
  {
    title: "gives a name to one living entry of a kind, and says who has it",
    run: async ({ store, same }) => {
      await make(store, aChange("a", { names: ["x"] }), aChange("b", { names: ["y"] }));
      const refusal = { done: false, at: 0, why: "name_taken", name: "y", holder: "b" };
      same(await store.changeEntries([aChange("c", { names: ["z", "y"] })], HOUR), refusal);
      same(await store.changeEntries([aChange("a", { seen: 1, names: ["x", "y"] })], HOUR), refusal);
      same(await store.changeEntries([aChange("c", { names: ["n"] }), aChange("d", { names: ["n"] })], HOUR), {
        done: false,
        at: 1,
        why: "name_taken",
        name: "n",
        holder: "c",
      });
      await make(store, aChange("s", { kind: "subject", names: ["y"] }), aChange("c", { names: ["Y", "y "] }));
    },
  },
  {
    title: "lets names change hands within one call, in either order",
    run: async ({ store, same }) => {
      await make(store, aChange("a", { names: ["x"] }), aChange("b", { names: ["y"] }));
      await make(store, aChange("a", { seen: 1, names: ["y"] }), aChange("b", { seen: 1, names: ["x"] }));
      same((await store.findEntry("customer", "x"))?.id, "b");
      await make(store, aChange("c", { names: ["y"] }), aChange("a", { seen: 2, body: null }));
      same((await store.findEntry("customer", "y"))?.id, "c");
      // One entry twice: the second change is made from the first one's revision, and may keep its names.
      await make(store, aChange("c", { seen: 1, names: ["y", "z"] }), aChange("c", { seen: 2, names: ["z"] }));
      same([await store.findEntry("customer", "y"), (await store.getEntry("customer", "c"))?.revision], [null, 3]);
    },
  },
  {
    title: "makes all changes of the register or none",
    run: async ({ store, reopen, same }) => {
      await make(store, aChange("a", { names: ["x"] }), aChange("b", { names: ["y"] }));
      const before = await stateOf(store);
      const first = [aChange("a", { seen: 1, names: ["z"], body: 2 }), aChange("c", { names: ["x"] })];
      for (const last of [aChange("b", { seen: 7 }), aChange("d", { seen: 1 }), aChange("e", { names: ["z"] })])
        same((await store.changeEntries([...first, last], HOUR + 5)).done, false);
      same(await stateOf(store), before);
      same(await stateOf(await reopen()), before);
    },
  },
  {
    title: "remembers who changed an entry when, deletions included",
    run: async ({ store, reopen, same }) => {
      same(await store.entryHistory("customer", "a"), []);
      await make(store, aChange("a"));
      await store.changeEntries([aChange("a", { seen: 1, body: 2, author: "key:mb_1" })], HOUR + 1);
      await store.changeEntries([aChange("a", { seen: 2, body: null, author: "file" })], HOUR + 2);
      const history = [
        { revision: 1, at: HOUR, author: "operator:ada", body: { of: "a" } },
        { revision: 2, at: HOUR + 1, author: "key:mb_1", body: 2 },
        { revision: 3, at: HOUR + 2, author: "file", body: null },
      ];
      same(await store.entryHistory("customer", "a"), history);
      same(await store.entryHistory("subject", "a"), []);
      same(await (await reopen()).entryHistory("customer", "a"), history);
    },
  },
  {
    title: "counts the calls that changed a kind, and lists what changed since one",
    run: async ({ store, reopen, same }) => {
      same(await store.registerRevision("customer"), 0);
      await make(store, aChange("a"), aChange("b"));
      await make(store, aChange("s", { kind: "subject" }));
      same([await store.registerRevision("customer"), await store.registerRevision("subject")], [1, 1]);
      await make(store, aChange("c"));
      await make(store, aChange("a", { seen: 1, body: null }), aChange("a2"));
      await store.changeEntries([aChange("b")], HOUR);
      const again = await reopen();
      same([await again.registerRevision("customer"), await again.registerRevision("meter")], [3, 0]);
      const since = (changedAfter: number) => idsOf(again, { changedAfter, includeDeleted: true });
      same(
        [await since(0), await since(1), await since(2), await since(3)],
        [["a", "a2", "b", "c"], ["a", "a2", "c"], ["a", "a2"], []],
      );
      same(await idsOf(again, { changedAfter: 2 }), ["a2"]);
    },
  },
  {
    title: "lists entries by id, code point by code point, a page at a time",
    run: async ({ store, same }) => {
      const ordered = ["", "A", "B", "a", "aa", "é", "\uffff", "\u{1f600}", "\u{1f600}a"].slice(1);
      await make(store, ...ordered.toReversed().map((id) => aChange(id)));
      same(await idsOf(store), ordered);
      same(await idsOf(store, { limit: 3 }), ordered.slice(0, 3));
      same(await idsOf(store, { limit: 3, after: "a" }), ordered.slice(3, 6));
      same(await idsOf(store, { after: "\uffff" }), ordered.slice(6));
      same(await idsOf(store, { after: "\u{1f600}a" }), []);
    },
  },
  {
    title: "lists entries with a name that begins so, taken as it is written",
    run: async ({ store, same }) => {
      await make(
        store,
        aChange("1", { names: ["key:a%", "subject:x"] }),
        aChange("2", { names: ["key:ab", "key:ac"] }),
        aChange("3", { names: ["key:a\u{10ffff}z"] }),
        aChange("4", { names: ["key:A", "kez"] }),
        aChange("5", { names: ["key:a"] }),
        aChange("6", { kind: "subject", names: ["key:a"] }),
      );
      await make(store, aChange("5", { seen: 1, body: null }));
      const beginning = (namePrefix: string, more = {}) => idsOf(store, { namePrefix, ...more });
      same(await beginning("key:a"), ["1", "2", "3"]);
      same([await beginning("key:a%"), await beginning("key:a_"), await beginning("key:ab")], [["1"], [], ["2"]]);
      same(
        [await beginning("key:", { limit: 2 }), await beginning("", { after: "2" })],
        [
          ["1", "2"],
          ["3", "4"],
        ],
      );
      same(await beginning("key:a\u{10ffff}"), ["3"]);
    },
  },
  {
    title: "shows the register in a snapshot as it was",
    run: async ({ store, same }) => {
      await make(store, aChange("a", { names: ["x"] }));
      const past = await store.snapshot();
      await make(store, aChange("a", { seen: 1, names: ["y"], body: 2 }), aChange("b", { names: ["x"] }));
      const seen = anEntry("a", { names: ["x"] });
      same([await past.getEntry("customer", "a"), await past.findEntry("customer", "x")], [seen, seen]);
      same([await idsOf(past), await past.countEntries("customer")], [["a"], 1]);
      same([(await past.entryHistory("customer", "a")).length, await past.registerRevision("customer")], [1, 1]);
      await past.close();
      same((await store.findEntry("customer", "x"))?.id, "b");
    },
  },
];
