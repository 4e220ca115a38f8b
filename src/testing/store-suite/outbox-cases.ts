import { fromInteger } from "../../core/decimal.ts";
import { OUTBOX_STATES, type Claim, type OutboxRow, type Store } from "../../engine/ports.ts";
import {
  counted,
  enqueueAll,
  HOUR,
  HOUR_MS,
  hourWindows,
  reportOf,
  type CaseTools,
  type StoreCase,
} from "./store-case.ts";

const LEASE_MS = 1_000;
const NO_ROWS = Object.fromEntries(OUTBOX_STATES.map((state) => [state, 0]));
const UNTRIED = {
  firstAttemptAt: null,
  lastAttemptAt: null,
  resentAt: null,
  absentSince: null,
  attempts: 0,
  acceptedAt: null,
  settledAt: null,
};

/** Claims of one reporter. */
export function claim(store: Store, now: number, limit = 10): Promise<readonly Claim[]> {
  return store.claim({ now, leaseMs: LEASE_MS, holder: "h", limit });
}

/** All rows. */
export async function rowsOf(store: Store): Promise<readonly OutboxRow[]> {
  return store.outbox({ limit: 100 });
}

/** One pending row per window for each company, one hour after another. */
async function withRows(store: Store, companies: readonly string[], hours: number): Promise<void> {
  const entries = companies.flatMap((company) =>
    Array.from({ length: hours }, (_, hour) =>
      counted({ id: `${company}-${hour}`, company, time: HOUR + hour * HOUR_MS }, 5),
    ),
  );
  await store.ingest(entries, HOUR);
  await enqueueAll(store);
}

/** The only claim there is; fails the case otherwise. */
export async function onlyClaim({ store, same }: CaseTools, now: number): Promise<Claim> {
  const [first, ...more] = await claim(store, now);
  same([first !== undefined, more.length], [true, 0]);
  if (first === undefined) throw new Error("nothing could be claimed");
  return first;
}

/** Closing windows, lanes, leases, outcomes. */
export const outboxCases: readonly StoreCase[] = [
  {
    title: "lists marked windows that ended, oldest first, with what is known of them",
    run: async ({ store, same }) => {
      await store.ingest(
        [
          counted({ id: "b", time: HOUR + HOUR_MS }, 2),
          counted({ id: "a", time: HOUR + 7 }, 1),
          counted({ id: "c", time: HOUR + 600_000 }, 4),
        ],
        HOUR,
      );
      const ended = await store.dirtyWindows({ windowMs: HOUR_MS, before: HOUR + HOUR_MS, limit: 9 });
      const totals = { total: fromInteger(5), enqueuedRaw: 0n, nextSequence: 0, runningRaw: 0n, runningValue: 0n };
      same(ended, [{ meter: "tokens", company: "acme", windowStart: HOUR, windowEnd: HOUR + HOUR_MS, ...totals }]);
      same(await store.dirtyWindows({ windowMs: HOUR_MS, before: HOUR + HOUR_MS - 1, limit: 9 }), []);
      same(
        (await store.dirtyWindows({ windowMs: HOUR_MS, before: HOUR * 2, limit: 9 })).map(
          ({ windowStart }) => windowStart,
        ),
        [HOUR, HOUR + HOUR_MS],
      );
      same(
        (await store.dirtyWindows({ windowMs: HOUR_MS, before: HOUR * 2, limit: 1 })).map(
          ({ windowStart }) => windowStart,
        ),
        [HOUR],
      );
      same((await store.dirtyWindows({ windowMs: 60_000, before: HOUR * 2, limit: 9 })).length, 3);
      same(await store.dueTotals(HOUR_MS), [{ meter: "tokens", value: fromInteger(7) }]);
    },
  },
  {
    title: "enqueues a window once, and only as its basis saw it",
    run: async ({ store, same }) => {
      await store.ingest([counted({ id: "a" }, 5)], HOUR);
      const [basis] = await hourWindows(store);
      if (basis === undefined) throw new Error("no window");
      const row = reportOf(basis, { value: fromInteger(4) });
      await store.ingest([counted({ id: "b" }, 1)], HOUR);
      same(await store.enqueue([{ basis, row }], HOUR), 0);
      same((await hourWindows(store)).length, 1);
      const now = { ...basis, total: fromInteger(6) };
      same(await store.enqueue([{ basis: now, row: { ...row, raw: fromInteger(6) } }], HOUR + 9), 1);
      same(await store.enqueue([{ basis: now, row: { ...row, raw: fromInteger(6) } }], HOUR + 9), 0);
      same(await hourWindows(store), []);
      const [kept, ...more] = await rowsOf(store);
      const fresh = { ...UNTRIED, nextAttemptAt: 0, requestIds: [] };
      same([kept, more], [{ ...row, raw: fromInteger(6), rowId: kept?.rowId, createdAt: HOUR + 9, ...fresh }, []]);
    },
  },
  {
    title: "knows what a late event adds: next sequence and running totals",
    run: async ({ store, same }) => {
      await withRows(store, ["acme"], 2);
      await store.ingest([counted({ id: "late" }, 3)], HOUR);
      const [basis, ...more] = await hourWindows(store);
      const late = {
        total: fromInteger(8),
        enqueuedRaw: fromInteger(5),
        nextSequence: 1,
        runningRaw: fromInteger(10),
        runningValue: fromInteger(10),
      };
      same(
        [basis, more],
        [{ meter: "tokens", company: "acme", windowStart: HOUR, windowEnd: HOUR + HOUR_MS, ...late }, []],
      );
      same(await store.dueTotals(HOUR_MS), [{ meter: "tokens", value: fromInteger(3) }]);
      same(await enqueueAll(store), 1);
      same(
        (await rowsOf(store)).map(({ windowStart, sequence, raw }) => [windowStart, sequence, raw]),
        [
          [HOUR, 0, fromInteger(5)],
          [HOUR, 1, fromInteger(3)],
          [HOUR + HOUR_MS, 0, fromInteger(5)],
        ],
      );
    },
  },
  {
    title: "checks each row of one call against the rows before it",
    run: async ({ store, same }) => {
      await store.ingest([counted({ id: "a" }, 5), counted({ id: "b", time: HOUR + HOUR_MS }, 5)], HOUR);
      const [first, second] = await hourWindows(store);
      if (first === undefined || second === undefined) throw new Error("no windows");
      const rows = [first, second].map((basis) => ({ basis, row: reportOf(basis) }));
      same(await store.enqueue(rows, HOUR), 1);
      const seen = { ...second, runningRaw: fromInteger(5), runningValue: fromInteger(5) };
      same(await store.enqueue([{ basis: seen, row: reportOf(second) }], HOUR), 1);
    },
  },
  {
    title: "clears a mark when there is nothing to report, but not a mark that came after",
    run: async ({ store, same }) => {
      await store.ingest([counted({ id: "a" }, 0)], HOUR);
      const [basis] = await hourWindows(store);
      if (basis === undefined) throw new Error("no window");
      await store.ingest([counted({ id: "b" }, 1)], HOUR);
      same(await store.enqueue([{ basis, row: null }], HOUR), 0);
      same((await hourWindows(store)).length, 1);
      same(await store.enqueue([{ basis: { ...basis, total: fromInteger(1) }, row: null }], HOUR), 0);
      same([await hourWindows(store), await rowsOf(store)], [[], []]);
    },
  },
  {
    title: "filters rows and adds them up per meter and state",
    run: async ({ store, same }) => {
      await withRows(store, ["acme", "beta"], 2);
      await store.ingest([counted({ id: "held", company: "held" }, 2)], HOUR);
      await enqueueAll(store, { state: "held", customer: null, identifier: null, reason: "no customer" });
      const count = async (query: Partial<Parameters<Store["outbox"]>[0]>): Promise<number> =>
        (await store.outbox({ limit: 100, ...query })).length;
      same(await count({}), 5);
      same(await count({ limit: 2 }), 2);
      same(await count({ state: "held" }), 1);
      same(await count({ company: "acme" }), 2);
      same(await count({ meter: "calls" }), 0);
      same(await count({ windowFrom: HOUR + HOUR_MS }), 2);
      same(await count({ windowTo: HOUR + HOUR_MS }), 3);
      same(
        (await store.outboxTotals()).toSorted((a, b) => (a.state < b.state ? -1 : 1)),
        [
          { meter: "tokens", state: "held", rows: 1, raw: fromInteger(2), value: fromInteger(2), shadow: 0n },
          { meter: "tokens", state: "pending", rows: 4, raw: fromInteger(20), value: fromInteger(20), shadow: 0n },
        ],
      );
      same((await store.counts()).outbox, { ...NO_ROWS, held: 1, pending: 4 });
    },
  },
  {
    title: "claims one row per customer and meter, oldest window first, and holds the lane until it is settled",
    run: async (tools) => {
      const { store, same } = tools;
      await withRows(store, ["acme", "beta"], 2);
      same((await claim(store, HOUR, 1)).length, 1);
      const [current, ...others] = await claim(store, HOUR);
      same([current?.row.windowStart, current?.row.state, others], [HOUR, "sending", []]);
      same(await claim(store, HOUR), []);
      if (current === undefined) throw new Error("nothing could be claimed");
      const { row, token } = current;
      same(await store.beginAttempt(row.rowId, token, HOUR + 1), true);
      same(await store.settle(row.rowId, token, { kind: "accepted", requestId: "req_1" }, HOUR + 2), true);
      const next = await onlyClaim(tools, HOUR + 3);
      same([next.row.company, next.row.windowStart], [row.company, HOUR + HOUR_MS]);
      const [accepted] = await store.outbox({ state: "accepted", limit: 9 });
      same(accepted, {
        ...row,
        state: "accepted",
        attempts: 1,
        firstAttemptAt: HOUR + 1,
        lastAttemptAt: HOUR + 1,
        acceptedAt: HOUR + 2,
        requestIds: ["req_1"],
      });
    },
  },
  {
    title: "holds a lane while its first row waits for a retry, and keeps its number of attempts",
    run: async (tools) => {
      const { store, same } = tools;
      await withRows(store, ["acme"], 2);
      const first = await onlyClaim(tools, HOUR);
      await store.beginAttempt(first.row.rowId, first.token, HOUR);
      const retry = { kind: "retry", reason: "503", nextAttemptAt: HOUR + 500, requestId: "req_1" } as const;
      same(await store.settle(first.row.rowId, first.token, retry, HOUR), true);
      same(await claim(store, HOUR + 499), []);
      const second = await onlyClaim(tools, HOUR + 500);
      same([second.row.rowId, second.row.attempts, second.row.reason, second.epoch], [first.row.rowId, 1, "503", 0]);
      await store.beginAttempt(second.row.rowId, second.token, HOUR + 501);
      await store.settle(second.row.rowId, second.token, { ...retry, requestId: "req_2", freshKey: true }, HOUR + 501);
      const third = await onlyClaim(tools, HOUR + 502);
      same(
        [third.epoch, third.row.attempts, third.row.firstAttemptAt, third.row.requestIds],
        [1, 2, HOUR, ["req_1", "req_2"]],
      );
    },
  },
  {
    title: "does not let a dead, conflicting, held or accepted row block its lane",
    run: async (tools) => {
      const { store, same } = tools;
      await withRows(store, ["acme"], 4);
      const kinds = ["dead", "conflict"] as const;
      for (const kind of kinds) {
        const { row, token } = await onlyClaim(tools, HOUR);
        await store.settle(row.rowId, token, { kind, reason: kind, requestId: null }, HOUR);
      }
      await store.ingest(
        [counted({ id: "early", time: HOUR - 1 }, 1), counted({ id: "zero", time: HOUR - HOUR_MS - 1 }, 1)],
        HOUR,
      );
      const [zero] = await hourWindows(store);
      if (zero === undefined) throw new Error("no window");
      await store.enqueue([{ basis: zero, row: reportOf(zero, { state: "accepted" }) }], HOUR);
      await enqueueAll(store, { state: "held", customer: null, identifier: null });
      const next = await onlyClaim(tools, HOUR);
      same(next.row.windowStart, HOUR + 2 * HOUR_MS);
      same(
        (await rowsOf(store)).map(({ state }) => state),
        ["accepted", "held", "dead", "conflict", "sending", "pending"],
      );
      same((await store.outbox({ state: "accepted", limit: 1 }))[0]?.acceptedAt, HOUR);
    },
  },
  {
    title: "fences a reporter whose lease ran out",
    run: async (tools) => {
      const { store, same } = tools;
      await withRows(store, ["acme"], 1);
      const slow = await onlyClaim(tools, HOUR);
      same(await claim(store, HOUR + LEASE_MS - 1), []);
      same(await store.beginAttempt(slow.row.rowId, slow.token, HOUR + LEASE_MS), false);
      same(await store.beginAttempt(slow.row.rowId, slow.token, HOUR + LEASE_MS + 1), false);
      const quick = await onlyClaim(tools, HOUR + LEASE_MS);
      same([quick.row.rowId, quick.token === slow.token], [slow.row.rowId, false]);
      same(await store.beginAttempt(slow.row.rowId, slow.token, HOUR + LEASE_MS), false);
      same(
        await store.settle(slow.row.rowId, slow.token, { kind: "accepted", requestId: null }, HOUR + LEASE_MS),
        false,
      );
      same(
        (await rowsOf(store)).map(({ state, attempts }) => [state, attempts]),
        [["sending", 0]],
      );
      same(
        await store.settle(quick.row.rowId, quick.token, { kind: "accepted", requestId: null }, HOUR + LEASE_MS),
        true,
      );
      same(
        await store.settle(quick.row.rowId, quick.token, { kind: "accepted", requestId: null }, HOUR + LEASE_MS),
        false,
      );
    },
  },
  {
    title: "sends an interrupted row before an earlier window that came meanwhile",
    run: async (tools) => {
      const { store, same } = tools;
      await withRows(store, ["acme"], 1);
      const first = await onlyClaim(tools, HOUR);
      await store.ingest([counted({ id: "early", time: HOUR - 1 }, 1)], HOUR);
      await enqueueAll(store);
      same(await claim(store, HOUR + 1), []);
      same((await onlyClaim(tools, HOUR + LEASE_MS)).row.rowId, first.row.rowId);
    },
  },
  {
    title: "counts nothing against a row when the key was refused",
    run: async (tools) => {
      const { store, same } = tools;
      await withRows(store, ["acme"], 1);
      const first = await onlyClaim(tools, HOUR);
      await store.beginAttempt(first.row.rowId, first.token, HOUR + 1);
      same(await store.settle(first.row.rowId, first.token, { kind: "stopped", reason: "401" }, HOUR + 2), true);
      const [row] = await rowsOf(store);
      same(row, { ...first.row, state: "pending", attempts: 0, firstAttemptAt: null, reason: "401" });
    },
  },
];
