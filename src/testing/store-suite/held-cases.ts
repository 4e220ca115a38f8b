import { fromInteger } from "../../core/decimal.ts";
import { NO_SUBSCRIPTION } from "../../core/no-subscription.ts";
import { limits } from "../../engine/limits.ts";
import { FINAL_HOLDS, type AttemptOutcome, type OutboxRow, type Release, type Store } from "../../engine/ports.ts";
import { claim, onlyClaim, rowsOf } from "./outbox-cases.ts";
import { counted, enqueueAll, HOUR, HOUR_MS, hourWindows, reportOf, type StoreCase } from "./store-case.ts";

/** Held rows, usage closed without a report, wrong clocks. */
export const heldCases: readonly StoreCase[] = [
  {
    title: "remembers what was closed without a report: later usage alone is to be reported",
    run: async ({ store, same }) => {
      await store.ingest([counted({ id: "a" }, 5), counted({ id: "z", time: HOUR + HOUR_MS }, 0)], HOUR);
      for (const basis of await hourWindows(store)) await store.enqueue([{ basis, row: null }], HOUR);
      same(await store.skippedTotals(), [{ meter: "tokens", raw: fromInteger(5) }]);
      same(await store.dueTotals(HOUR_MS), []);
      await store.ingest([counted({ id: "b" }, 2)], HOUR);
      const [late] = await hourWindows(store);
      if (late === undefined) throw new Error("no window");
      const { total, enqueuedRaw, nextSequence, runningRaw } = late;
      same([total, enqueuedRaw, nextSequence, runningRaw], [fromInteger(7), fromInteger(5), 0, 0n]);
      same(await store.dueTotals(HOUR_MS), [{ meter: "tokens", value: fromInteger(2) }]);
      same(await store.enqueue([{ basis: { ...late, enqueuedRaw: 0n }, row: reportOf(late) }], HOUR), 0);
      same(await enqueueAll(store), 1);
      same(
        (await rowsOf(store)).map(({ raw }) => raw),
        [fromInteger(2)],
      );
      await store.ingest([counted({ id: "c" }, 1)], HOUR);
      const [again] = await hourWindows(store);
      if (again === undefined) throw new Error("no window");
      same(again.enqueuedRaw, fromInteger(7));
      await store.enqueue([{ basis: again, row: null }], HOUR);
      same(await store.skippedTotals(), [{ meter: "tokens", raw: fromInteger(6) }]);
    },
  },
  {
    title: "holds a row without a customer until one is known",
    run: async (tools) => {
      const { store, same } = tools;
      await store.ingest([counted({ id: "a" }, 5)], HOUR);
      await enqueueAll(store, { state: "held", customer: null, identifier: null, reason: "no customer" });
      same(await claim(store, HOUR), []);
      const [held] = await rowsOf(store);
      if (held === undefined) throw new Error("no row");
      await store.hold({ rowId: held.rowId }, "two customers", HOUR);
      same((await rowsOf(store))[0], { ...held, reason: "two customers" });
      const address = { customer: "cus_1", identifier: "mb_1", timestamp: HOUR + HOUR_MS, late: "carry" } as const;
      const release = { rowId: held.rowId, ...address, mode: "set", reported: fromInteger(9) } as const;
      same(await store.release([release], HOUR + 1), 1);
      same(await store.release([{ ...release, customer: "cus_2", identifier: "mb_2" }], HOUR + 1), 0);
      await store.hold({ rowId: held.rowId }, "late", HOUR + 1);
      same((await onlyClaim(tools, HOUR + 2)).row, {
        ...held,
        ...release,
        state: "sending",
        reason: null,
        nextAttemptAt: 0,
      });
    },
  },
  {
    title: "lists held rows by company and the biller's meter, without those that can never be sent",
    run: async ({ store, same }) => {
      for (const company of ["acme", "beta"]) await withHeld(store, company, 3);
      const lane = { company: "acme", reportAs: "tokens" };
      const lanes = async (): Promise<unknown> =>
        (await store.heldLanes()).toSorted((a, b) => (a.company < b.company ? -1 : 1));
      const beta = { company: "beta", reportAs: "tokens", rows: 3, reason: "no_customer" };
      same(await lanes(), [{ ...lane, rows: 3, reason: "no_customer" }, beta]);
      const [first] = await store.outbox({ company: "acme", limit: 1 });
      if (first === undefined) throw new Error("no row");
      await store.hold({ rowId: first.rowId }, "two_customers", HOUR);
      same(await lanes(), [{ ...lane, rows: 3, reason: null }, beta]);
      await store.hold(lane, "stripe_meter_missing", HOUR);
      same(await lanes(), [{ ...lane, rows: 3, reason: "stripe_meter_missing" }, beta]);
      await store.hold({ rowId: first.rowId }, "too_many_digits", HOUR);
      await store.hold({ timestampBefore: HOUR + 2 * HOUR_MS }, "too_old", HOUR);
      same(await lanes(), [
        { ...lane, rows: 1, reason: "stripe_meter_missing" },
        { ...beta, rows: 1 },
      ]);
      const reasons = async (final: boolean): Promise<unknown> =>
        (await store.outbox({ state: "held", final, ...lane, limit: 9 })).map(({ reason }) => reason);
      same([await reasons(true), await reasons(false)], [["too_many_digits", "too_old"], ["stripe_meter_missing"]]);
      await store.hold(lane, "no_customer", HOUR);
      same(await reasons(true), ["too_many_digits", "too_old"]);
      same((await store.outbox({ state: "held", reportAs: "calls", limit: 9 })).length, 0);
      const rows = await store.outbox({ state: "held", final: false, limit: 9 });
      const releases = rows.map((row) => ({ ...releaseOf(row), customer: "cus_1", identifier: `mb_${row.rowId}` }));
      same([await store.release(releases, HOUR), await store.release(releases, HOUR)], [2, 0]);
      same(await store.heldLanes(), []);
    },
  },
  {
    title: "leaves rows that wait for a subscription as they are when their lane is held, and changes one by itself",
    run: async ({ store, same }) => {
      await withHeld(store, "acme", 3);
      const [first, second] = await rowsOf(store);
      if (first === undefined || second === undefined) throw new Error("no rows");
      const unbilled = `${NO_SUBSCRIPTION} cus_1 has none`;
      await store.hold({ rowId: first.rowId }, unbilled, HOUR);
      // Begins alike, for a pattern in which an underscore is any letter.
      await store.hold({ rowId: second.rowId }, "no-subscription: at all", HOUR);
      await store.hold({ company: "acme", reportAs: "tokens" }, "two_customers", HOUR + 1);
      const reasons = async (): Promise<unknown> => (await rowsOf(store)).map(({ reason }) => reason);
      same(await reasons(), [unbilled, "two_customers", "two_customers"]);
      same((await store.rowHistory(first.rowId)).length, 1);
      await store.hold({ rowId: first.rowId }, "no_customer", HOUR + 2);
      same(await reasons(), ["no_customer", "two_customers", "two_customers"]);
      await store.hold({ rowId: first.rowId }, unbilled, HOUR + 3);
      await store.hold({ timestampBefore: first.timestamp + 1 }, "too_old", HOUR + 4);
      same(await reasons(), ["too_old", "two_customers", "two_customers"]);
    },
  },
  {
    title: "knows each final reason",
    run: async ({ store, same }) => {
      await withHeld(store, "acme", FINAL_HOLDS.length + 1);
      const rows = await rowsOf(store);
      for (const [place, reason] of FINAL_HOLDS.entries())
        await store.hold({ rowId: rows[place]?.rowId ?? -1 }, reason, HOUR);
      same(await store.heldLanes(), [{ company: "acme", reportAs: "tokens", rows: 1, reason: "no_customer" }]);
    },
  },
  {
    title: "sends what was written under a clock that was far ahead",
    run: async (tools) => {
      const { store, same } = tools;
      const year = 365 * 86_400_000;
      await store.ingest([counted({ id: "a" }, 5)], HOUR);
      await enqueueAll(store, {}, HOUR + year);
      const ahead = await onlyClaim(tools, HOUR);
      await store.settle(ahead.row.rowId, ahead.token, waitUntil(HOUR + year), HOUR);
      const claimed = await store.claim({ now: HOUR + year, leaseMs: limits.leaseMs, holder: "h", limit: 9 });
      same(claimed.length, 1);
      same(await store.beginAttempt(ahead.row.rowId, claimed[0]?.token ?? "", HOUR), false);
      const { row, token } = await onlyClaim(tools, HOUR);
      same(await store.settle(row.rowId, claimed[0]?.token ?? "", { kind: "accepted", requestId: null }, HOUR), false);
      same(await store.beginAttempt(row.rowId, token, HOUR), true);
      await store.settle(row.rowId, token, waitUntil(HOUR + limits.retryAfterMaxMs), HOUR);
      same(await claim(store, HOUR), []);
      same((await claim(store, HOUR + limits.retryAfterMaxMs)).length, 1);
    },
  },
];

function waitUntil(nextAttemptAt: number): AttemptOutcome {
  return { kind: "retry", reason: "503", nextAttemptAt, requestId: null };
}

function releaseOf({ rowId, timestamp, mode, reported, late }: OutboxRow): Omit<Release, "customer" | "identifier"> {
  return { rowId, timestamp, mode, reported, late };
}

/** Held rows of one company, one hour after another. */
async function withHeld(store: Store, company: string, hours: number): Promise<void> {
  const entries = Array.from({ length: hours }, (_, hour) =>
    counted({ id: `${company}-${hour}`, company, time: HOUR + hour * HOUR_MS }, 5),
  );
  await store.ingest(entries, HOUR);
  await enqueueAll(store, { state: "held", customer: null, identifier: null, reason: "no_customer" });
}
