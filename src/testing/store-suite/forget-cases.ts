import {
  SESSION_FINISHER,
  type AttemptOutcome,
  type ForgetKind,
  type OutboxRow,
  type OutboxState,
  type Store,
} from "../../engine/ports.ts";
import { claim, rowsOf } from "./outbox-cases.ts";
import { counted, enqueueAll, HOUR, HOUR_MS, type StoreCase } from "./store-case.ts";

/** Forgets batch by batch; answers how many went, and in how many batches. */
async function forgetAll(
  store: Store,
  kind: ForgetKind,
  before: number,
  limit = 100,
): Promise<readonly [deleted: number, batches: number]> {
  let [deleted, batches] = [0, 0];
  let after: number | null = null;
  do {
    const batch: Awaited<ReturnType<Store["forget"]>> = await store.forget({ kind, before, after, limit });
    deleted += batch.deleted;
    batches += 1;
    after = batch.next;
  } while (after !== null);
  return [deleted, batches];
}

async function forgetHistories(store: Store, before: number, limit = 100): Promise<void> {
  for (const kind of ["attempt", "change"] as const) await forgetAll(store, kind, before, limit);
}

/** A row of each hour, closed and tried a millisecond after the one before, with this end. */
async function triedRows(store: Store, ends: readonly OutboxState[]): Promise<readonly OutboxRow[]> {
  for (const [place, end] of ends.entries()) {
    const at = HOUR + place;
    const event = { id: `${place}`, company: `company ${place}`, time: HOUR + place * HOUR_MS };
    await store.ingest([counted(event, 5)], HOUR);
    const held = { state: "held", customer: null, identifier: null, reason: "no_customer" } as const;
    await enqueueAll(store, end === "held" ? held : {}, at);
    if (end === "held") await store.hold({ timestampBefore: HOUR * 2 }, "still_no_customer", at);
    else await tryRow(store, at, end, `req_${place}`);
  }
  return rowsOf(store);
}

async function tryRow(store: Store, at: number, end: OutboxState, requestId: string): Promise<void> {
  const [claimed] = await claim(store, at);
  if (claimed === undefined) throw new Error("no claim");
  const { token, row } = claimed;
  await store.beginAttempt(row.rowId, token, at);
  await store.settle(row.rowId, token, outcomeOf(end, requestId), at);
  if (end === "settled") await store.settleRows([row.rowId], at);
}

function outcomeOf(end: OutboxState, requestId: string): AttemptOutcome {
  const told = { reason: "why", requestId };
  if (end === "dead" || end === "conflict") return { kind: end, ...told };
  if (end === "pending") return { kind: "retry", ...told, nextAttemptAt: HOUR + HOUR_MS };
  return { kind: "accepted", requestId };
}

/** What is left of each row's history, the last one left out. */
async function histories(store: Store): Promise<readonly (readonly (string | null)[])[]> {
  const rows = (await rowsOf(store)).slice(0, -1);
  return Promise.all(rows.map(async ({ rowId }) => (await store.rowHistory(rowId)).map(({ to }) => to)));
}

const later = HOUR + 1_000 * HOUR_MS;
const order = { reason: "because", author: "operator:ada" } as const;

/** Gives the last row, which is never forgotten, the newest line of all: a store may keep that to go on counting from. */
async function writeNewest(store: Store): Promise<void> {
  const row = (await rowsOf(store)).at(-1);
  if (row === undefined) throw new Error("no row");
  const to = row.state === "conflict" ? "dead" : "conflict";
  await store.changeRow({ rowId: row.rowId, from: row.state, to, ...order }, HOUR);
}

/** What is kept for a time only. */
export const forgetCases: readonly StoreCase[] = [
  {
    title: "forgets old names that were taken once, in batches, and no others",
    run: async ({ store, reopen, same }) => {
      for (const [place, name] of ["a", "b", "c", "d", "e"].entries()) await store.takeOnce(name, HOUR + place);
      await store.takeOnce("a", HOUR + 100);
      same(await forgetAll(store, "once", HOUR), [0, 1]);
      same((await forgetAll(store, "once", HOUR + 3, 2))[0], 3);
      same((await store.forget({ kind: "once", before: later, after: null, limit: 1 })).deleted, 1);
      const again = await reopen();
      const free = await Promise.all(["a", "c", "d", "e"].map((name) => again.takeOnce(name, later)));
      same(free, [true, true, true, false]);
    },
  },
  {
    title: "forgets old refused events, and counts those that are kept",
    run: async ({ store, same }) => {
      await store.ingest([counted({ id: "1" }, 5)], HOUR);
      for (const place of [1, 2, 3]) await store.ingest([counted({ id: "1", user: `${place}` }, 5)], HOUR + place);
      await store.ingest([counted({ id: "1", user: "1" }, 5)], later);
      same((await store.counts()).conflicts, 3);
      same(await forgetAll(store, "conflict", HOUR + 1), [0, 1]);
      same((await forgetAll(store, "conflict", HOUR + 3, 1))[0], 2);
      same((await store.counts()).conflicts, 1);
      same(await store.ingest([counted({ id: "1", user: "1" }, 5)], later), ["conflict"]);
      same([(await store.counts()).conflicts, (await store.counts()).events], [2, 1]);
    },
  },
  {
    title: "forgets the history of old reports that are at the biller, and keeps the reports themselves",
    run: async (tools) => {
      const { store, same, reopen } = tools;
      const before = await triedRows(store, ["settled", "accepted", "accepted"]);
      await writeNewest(store);
      const sums = [await store.laneTotals(), await store.outboxTotals()];
      for (const limit of [1, 100]) await forgetHistories(store, HOUR + 2, limit);
      same(await histories(store), [[], []]);
      const [settled, accepted, newest] = await rowsOf(store);
      same(
        [settled, accepted],
        before.slice(0, 2).map((row) => ({ ...row, requestIds: [] })),
      );
      same([settled?.attempts, newest?.requestIds], [1, ["req_2"]]);
      same([await store.laneTotals(), await store.outboxTotals()], sums);
      same(await histories(await reopen()), [[], []]);
    },
  },
  {
    title: "forgets finished sessions in batches, with their history, and none that waits or that somebody dismissed",
    run: async ({ store, reopen, same }) => {
      const change = { kind: "session", names: [], body: { of: "it" }, author: "key:mb_1" } as const;
      const ids = ["a", "b", "c", "d", "e"];
      for (const [at, id] of ids.entries()) {
        const pair = [`${id}1`, `${id}2`];
        await store.changeEntries(
          pair.map((each) => ({ ...change, id: each, seen: null })),
          HOUR + at,
        );
        const author = id === "b" ? "operator:ada" : SESSION_FINISHER;
        if (id !== "c")
          await store.changeEntries(
            pair.map((each) => ({ ...change, id: each, seen: 1, body: null, author })),
            HOUR + at,
          );
      }
      await store.changeEntries([{ ...change, kind: "customer", id: "a1", seen: null }], HOUR);
      same(await forgetAll(store, "session", HOUR), [0, 1]);
      same((await forgetAll(store, "session", HOUR + 4, 3))[0], 4);
      same(await forgetAll(store, "session", HOUR + 4), [0, 1]);
      const again = await reopen();
      const left = await again.listEntries({ kind: "session", includeDeleted: true, limit: 100 });
      same(
        left.map(({ id }) => id),
        ["b1", "b2", "c1", "c2", "e1", "e2"],
      );
      same((await again.entryHistory("session", "a1")).length, 0);
      same((await again.entryHistory("customer", "a1")).length, 1);
      same((await again.changeEntries([{ ...change, id: "a1", seen: null }], later)).done, true);
    },
  },
  {
    title: "forgets nothing of a row that is held, on its way, dead or in conflict, however old",
    run: async (tools) => {
      const { store, same } = tools;
      await triedRows(store, ["held", "pending", "dead", "conflict", "accepted"]);
      await writeNewest(store);
      const known = await histories(store);
      same(known, [["held"], ["retry"], ["dead"], ["conflict"]]);
      await forgetHistories(store, later);
      same(await histories(store), known);
      const [held, ...others] = await rowsOf(store);
      same(
        [held?.state, others.map(({ requestIds }) => requestIds)],
        ["held", [["req_1"], ["req_2"], ["req_3"], ["req_4"]]],
      );
    },
  },
  {
    title: "goes by when a report came to rest: one that waited for a year keeps its history as long as others",
    run: async (tools) => {
      const { store, same } = tools;
      const rows = await triedRows(store, ["conflict", "settled", "accepted"]);
      await writeNewest(store);
      const { rowId } = rows[0] ?? { rowId: 0 };
      const said = { rowId, reason: "found", author: "reconcile" } as const;
      await store.changeRow({ ...said, from: "conflict", to: "accepted" }, later);
      await store.settleRows([rowId], later + 1);
      await forgetHistories(store, later + 1);
      same(await histories(store), [["conflict", "accepted", "settled"], []]);
      await writeNewest(store);
      await forgetHistories(store, later + 2);
      same((await histories(store))[0], []);
    },
  },
  ...[true, false].map((hasNewer): StoreCase => ({
    title: `never forgets what an operator ordered, and writes what comes after it behind it, ${hasNewer ? "among others" : "as the last there is"}`,
    run: async ({ store, same }) => {
      const [row] = await triedRows(store, hasNewer ? ["dead", "accepted"] : ["dead"]);
      const { rowId } = row ?? { rowId: 0 };
      await store.changeRow({ rowId, from: "dead", to: "accepted", ...order }, HOUR + 1);
      await store.settleRows([rowId], HOUR + 2);
      if (hasNewer) await writeNewest(store);
      await forgetHistories(store, HOUR + HOUR_MS);
      const lines = async (): Promise<readonly unknown[]> =>
        (await store.rowHistory(rowId)).map(({ what, to, author }) => [what, to, author]);
      const ordered = ["change", "accepted", "operator:ada"];
      if (hasNewer) same(await lines(), [ordered]);
      const resend = { from: "settled", to: "pending", reason: "r", author: "reconcile", resend: true } as const;
      await store.changeRow({ rowId, ...resend }, later);
      const [claimed] = (await claim(store, later)).filter((each) => each.row.rowId === rowId);
      await store.beginAttempt(rowId, claimed?.token ?? "", later);
      await store.settle(rowId, claimed?.token ?? "", { kind: "accepted", requestId: "req_new" }, later);
      const last = [
        ["change", "pending", "reconcile"],
        ["attempt", "accepted", null],
      ];
      const all = await lines();
      const isOrder = (line: unknown): boolean => JSON.stringify(line) === JSON.stringify(ordered);
      same([all.filter(isOrder).length, all.slice(-2), all.findLastIndex(isOrder) < all.length - 2], [1, last, true]);
      same((await store.outbox({ rowId, limit: 1 }))[0]?.requestIds.at(-1), "req_new");
    },
  })),
];
