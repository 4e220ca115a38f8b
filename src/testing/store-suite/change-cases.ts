import { fromInteger } from "../../core/decimal.ts";
import type { NewOutboxRow, OutboxRow, OutboxState, RowChange, Store } from "../../engine/ports.ts";
import { onlyClaim, rowsOf } from "./outbox-cases.ts";
import { counted, enqueueAll, HOUR, HOUR_MS, hourWindows, type CaseTools, type StoreCase } from "./store-case.ts";

const MINUTE_MS = 60_000;

/** The only row, in a state: 5 of usage, of which 4 are stated. */
async function rowIn({ store }: CaseTools, state: OutboxState): Promise<OutboxRow> {
  await store.ingest([counted({ id: "a" }, 5)], HOUR);
  const held = { customer: null, identifier: null };
  const isAddressed = state !== "held";
  await enqueueAll(store, {
    value: fromInteger(4),
    ...(isAddressed ? { state: "pending" } : { state: "held", ...held, reason: "late_usage" }),
  });
  const [row] = await rowsOf(store);
  if (row === undefined) throw new Error("no row");
  if (state === "held" || state === "pending") return row;
  const [claim] = await store.claim({ now: HOUR, leaseMs: 1_000, holder: "h", limit: 1 });
  if (claim === undefined) throw new Error("no claim");
  await store.beginAttempt(row.rowId, claim.token, HOUR);
  if (state === "dead" || state === "conflict")
    await store.settle(row.rowId, claim.token, { kind: state, reason: "no", requestId: "req_1" }, HOUR);
  if (state === "accepted" || state === "settled")
    await store.settle(row.rowId, claim.token, { kind: "accepted", requestId: "req_1" }, HOUR);
  if (state === "settled") await store.settleRows([row.rowId], HOUR + 1);
  return onlyRow(store);
}

async function onlyRow(store: Store): Promise<OutboxRow> {
  const [row, ...more] = await rowsOf(store);
  if (row === undefined || more.length > 0) throw new Error("not one row");
  return row;
}

function changeOf({ rowId, state }: OutboxRow, to: OutboxState, resend = false): RowChange {
  const base = { rowId, from: state, to, reason: "because", author: "operator:ada" };
  return resend ? { ...base, resend } : base;
}

/** The row that takes another one back. */
export function cancelOf(row: OutboxRow): Omit<NewOutboxRow, "sequence"> {
  const { meter, reportAs, company, customer, windowStart, windowEnd, timestamp, mode, rowId, raw, value } = row;
  return {
    kind: "cancel",
    cancels: rowId,
    meter,
    reportAs,
    company,
    customer,
    windowStart,
    windowEnd,
    raw: -raw,
    value: -value,
    mode,
    reported: -value,
    late: null,
    timestamp,
    identifier: `cancel_${row.identifier}`,
    state: "pending",
    reason: null,
  };
}

/** A row that corrects a surplus at the biller. */
export function adjustOf(row: OutboxRow, value: number): Omit<NewOutboxRow, "sequence"> {
  return {
    ...cancelOf(row),
    kind: "adjust",
    cancels: null,
    raw: fromInteger(value),
    value: fromInteger(value),
    reported: fromInteger(value),
    timestamp: row.timestamp + MINUTE_MS,
    identifier: `adjust_${row.identifier}`,
  };
}

/** Changes outside delivery: the biller's books, its later word, an operator. */
export const changeCases: readonly StoreCase[] = [
  {
    title: "settles accepted rows, each once, and none of another state",
    run: async (tools) => {
      const { store, same } = tools;
      const accepted = await rowIn(tools, "accepted");
      await store.ingest([counted({ id: "b", time: HOUR + HOUR_MS }, 1)], HOUR);
      await enqueueAll(store);
      const ids = (await rowsOf(store)).map(({ rowId }) => rowId);
      same(await store.settleRows([...ids, 99], HOUR + 5), 1);
      same(await store.settleRows(ids, HOUR + 6), 0);
      const settled = { ...accepted, state: "settled", settledAt: HOUR + 5 };
      same(await store.outbox({ state: "settled", limit: 9 }), [settled]);
      same((await store.outbox({ state: "accepted", limit: 9 })).length, 0);
      same((await store.counts()).outbox.settled, 1);
      same((await store.rowHistory(accepted.rowId)).at(-1)?.to, "settled");
    },
  },
  {
    title: "changes a row once, only from the state that was seen, and writes down who and why",
    run: async (tools) => {
      const { store, same } = tools;
      const row = await rowIn(tools, "accepted");
      same(await store.changeRow({ ...changeOf(row, "dead"), from: "settled" }, HOUR + 5), false);
      same(await store.changeRow({ ...changeOf(row, "dead"), rowId: 99 }, HOUR + 5), false);
      same(await onlyRow(store), row);
      same(await store.changeRow(changeOf(row, "dead"), HOUR + 5), true);
      same(await store.changeRow(changeOf(row, "dead"), HOUR + 6), false);
      same(await onlyRow(store), { ...row, state: "dead", reason: "because", acceptedAt: null });
      const line = { what: "change", to: "dead", reason: "because", author: "operator:ada", requestId: null };
      same((await store.rowHistory(row.rowId)).slice(1), [{ ...line, at: HOUR + 5 }]);
    },
  },
  ...(["dead", "conflict", "accepted", "settled"] as const).map((from): StoreCase => {
    return {
      title: `lets a row that is ${from} go out again, with or without a fresh safe interval`,
      run: async (tools) => {
        const { store, same } = tools;
        const row = await rowIn(tools, from);
        same(await store.changeRow(changeOf(row, "pending"), HOUR + 5), true);
        const again = await onlyClaim(tools, HOUR + 6);
        const back = { ...row, state: "sending", reason: "because", acceptedAt: null, settledAt: null };
        same([again.row, again.epoch], [back, 0]);
        const conflict = { kind: "conflict", reason: "no", requestId: null } as const;
        await store.settle(row.rowId, again.token, conflict, HOUR + 6);
        same(await store.changeRow(changeOf({ ...row, state: "conflict" }, "pending", true), HOUR + 7), true);
        const resent = await onlyClaim(tools, HOUR + 8);
        same([resent.row.resentAt, resent.row.firstAttemptAt, resent.epoch], [HOUR + 7, HOUR, 1]);
      },
    };
  }),
  {
    title: "lets a row go out again at once, and reads the books for it anew",
    run: async (tools) => {
      const { store, same } = tools;
      const row = await rowIn(tools, "pending");
      const first = await onlyClaim(tools, HOUR);
      await store.beginAttempt(row.rowId, first.token, HOUR);
      const absent = { kind: "absent", reason: "not there", nextAttemptAt: HOUR + 600_000 } as const;
      await store.settle(row.rowId, first.token, absent, HOUR + 1);
      same(await store.changeRow(changeOf(row, "conflict"), HOUR + 2), true);
      same(await store.changeRow(changeOf({ ...row, state: "conflict" }, "pending"), HOUR + 3), true);
      const again = await onlyClaim(tools, HOUR + 4);
      same([again.row.absentSince, again.row.nextAttemptAt, again.row.resentAt], [null, 0, null]);
    },
  },
  {
    title: "keeps when a row came to the biller, whatever its books say later",
    run: async (tools) => {
      const { store, same } = tools;
      const row = await rowIn(tools, "settled");
      same(await store.changeRow(changeOf(row, "accepted"), HOUR + 5), true);
      same(await onlyRow(store), { ...row, state: "accepted", reason: "because", settledAt: null });
      same(await store.changeRow(changeOf({ ...row, state: "accepted" }, "settled"), HOUR + 6), true);
      same(await onlyRow(store), { ...row, reason: "because", settledAt: HOUR + 6 });
    },
  },
  {
    title: "takes a person's word that a row was delivered, and writes held usage off",
    run: async (tools) => {
      const { store, same } = tools;
      const row = await rowIn(tools, "conflict");
      same(await store.changeRow(changeOf(row, "accepted"), HOUR + 5), true);
      same(await onlyRow(store), { ...row, state: "accepted", reason: "because", acceptedAt: HOUR + 5 });
      await store.ingest([counted({ id: "late" }, 1)], HOUR);
      await enqueueAll(store, { state: "held", customer: null, identifier: null, reason: "late_usage" });
      const [held] = await store.outbox({ state: "held", limit: 1 });
      if (held === undefined) throw new Error("no row");
      same(await store.changeRow(changeOf(held, "dead"), HOUR + 5), true);
      same((await store.outbox({ rowId: held.rowId, limit: 1 }))[0], { ...held, state: "dead", reason: "because" });
      const carry = { ...changeOf({ ...held, state: "dead" }, "held"), late: "carry" } as const;
      same(await store.changeRow(carry, HOUR + 6), true);
      same((await store.outbox({ rowId: held.rowId, limit: 1 }))[0], { ...held, reason: "because", late: "carry" });
      const plain = { ...changeOf(row, "dead"), from: "accepted", late: "carry" } as const;
      same(await store.changeRow(plain, HOUR + 7), true);
      same((await store.outbox({ rowId: row.rowId, limit: 1 }))[0]?.late, null);
    },
  },
  {
    title: "leaves a row under a lease to its holder, and sends none that has no customer",
    run: async (tools) => {
      const { store, same } = tools;
      const held = await rowIn(tools, "held");
      for (const to of ["pending", "accepted", "settled", "conflict", "sending"] as const)
        same(await store.changeRow(changeOf(held, to), HOUR), false);
      const release = { ...held, customer: "cus_1", identifier: "mb_1" };
      await store.release([release], HOUR);
      same(await store.changeRow(changeOf({ ...held, state: "pending" }, "held"), HOUR), false);
      const { row, token } = await onlyClaim(tools, HOUR);
      for (const to of ["dead", "pending", "accepted"] as const)
        same(await store.changeRow(changeOf(row, to), HOUR), false);
      same(await store.settle(row.rowId, token, { kind: "accepted", requestId: null }, HOUR), true);
    },
  },
  {
    title: "writes down each hold and each release",
    run: async (tools) => {
      const { store, same } = tools;
      await store.ingest([counted({ id: "a" }, 5)], HOUR);
      await enqueueAll(store, { state: "held", customer: null, identifier: null, reason: "no_customer" });
      const row = await onlyRow(store);
      await store.hold({ company: "acme", reportAs: "tokens" }, "two_customers", HOUR + 1);
      await store.hold({ rowId: row.rowId }, "two_customers", HOUR + 2);
      await store.release([{ ...row, customer: "cus_1", identifier: "mb_1" }], HOUR + 3);
      await store.release([{ ...row, customer: "cus_1", identifier: "mb_1" }], HOUR + 4);
      await store.hold({ rowId: row.rowId }, "late", HOUR + 5);
      same(
        (await store.rowHistory(row.rowId)).map(({ at, to, reason, author }) => [at, to, reason, author]),
        [
          [HOUR + 1, "held", "two_customers", "reporter"],
          [HOUR + 3, "pending", "for cus_1", "reporter"],
        ],
      );
    },
  },
];

/** Rows that are added beside closed usage. */
export const additionCases: readonly StoreCase[] = [
  {
    title: "takes a report back once: what it covered is to be closed again, and the sums stay right",
    run: async (tools) => {
      const { store, same } = tools;
      const row = await rowIn(tools, "accepted");
      const added = await store.addRow(cancelOf(row), "operator:ada", "wrong customer", HOUR + 5);
      const expected = { ...cancelOf(row), sequence: 1, createdAt: HOUR + 5, state: "pending", attempts: 0 };
      same({ ...added, ...expected }, added);
      same(await store.addRow(cancelOf(row), "operator:bob", "again", HOUR + 6), null);
      const [due, ...more] = await hourWindows(store);
      const { total, enqueuedRaw, nextSequence, runningRaw, runningValue } = due ?? {};
      same([more, total, enqueuedRaw, nextSequence, runningRaw, runningValue], [[], row.raw, 0n, 2, 0n, 0n]);
      same(await store.dueTotals(HOUR_MS), [{ meter: "tokens", value: row.raw }]);
      same(await enqueueAll(store, { customer: "cus_other", value: row.value }), 1);
      same(
        (await rowsOf(store)).map(({ kind, sequence, raw, value }) => [kind, sequence, raw, value]),
        [
          ["usage", 0, row.raw, row.value],
          ["cancel", 1, -row.raw, -row.value],
          ["usage", 2, row.raw, row.value],
        ],
      );
      const sums = { raw: row.raw, value: row.value, runningRaw: row.raw, runningValue: row.value, cancels: 1 };
      same(await store.laneTotals(), [{ meter: "tokens", company: "acme", ...sums }]);
      const lines = async (rowId: number): Promise<unknown> => {
        const history = await store.rowHistory(rowId);
        return history.flatMap(({ what, to, reason, author }) => (what === "change" ? [[to, reason, author]] : []));
      };
      same(await lines(added?.rowId ?? 0), [["pending", "wrong customer", "operator:ada"]]);
      const told = `cancelled by row ${added?.rowId}: wrong customer`;
      same(await lines(row.rowId), [["accepted", told, "operator:ada"]]);
    },
  },
  {
    title: "cancels a settled report too, but nothing that is not at the biller, and only as much as it reported",
    run: async (tools) => {
      const { store, same } = tools;
      const row = await rowIn(tools, "settled");
      const cancel = cancelOf(row);
      for (const wrong of [
        { raw: cancel.raw + 1n },
        { value: cancel.value - 1n },
        { cancels: 99 },
        { cancels: null },
        { company: "beta" },
        { meter: "calls" },
        { windowStart: row.windowStart + HOUR_MS },
      ])
        same(await store.addRow({ ...cancel, ...wrong }, "operator:ada", "why", HOUR), null);
      same([await hourWindows(store), (await rowsOf(store)).length], [[], 1]);
      const added = await store.addRow(cancel, "operator:ada", "why", HOUR);
      same([added?.kind, added?.cancels], ["cancel", row.rowId]);
      const { rowId, token } = { rowId: added?.rowId ?? 0, token: (await onlyClaim(tools, HOUR)).token };
      await store.settle(rowId, token, { kind: "accepted", requestId: null }, HOUR);
      const [accepted] = await store.outbox({ rowId, limit: 1 });
      if (accepted === undefined) throw new Error("no row");
      same(await store.addRow(cancelOf(accepted), "operator:ada", "why", HOUR), null);
      await store.changeRow(changeOf(row, "dead"), HOUR);
      same(await store.addRow(cancel, "operator:ada", "why", HOUR), null);
    },
  },
  {
    title: "sends a cancel and what replaces it in the order of their sequence",
    run: async (tools) => {
      const { store, same } = tools;
      const row = await rowIn(tools, "accepted");
      await store.ingest([counted({ id: "later", time: HOUR + HOUR_MS }, 1)], HOUR);
      await enqueueAll(store);
      await store.addRow(cancelOf(row), "operator:ada", "why", HOUR);
      await enqueueAll(store, { identifier: "mb_again" });
      const sent: unknown[] = [];
      for (let turn = 0; turn < 3; turn += 1) {
        const { row: next, token } = await onlyClaim(tools, HOUR + turn);
        sent.push([next.kind, next.sequence, next.windowStart]);
        await store.settle(next.rowId, token, { kind: "accepted", requestId: null }, HOUR + turn);
      }
      same(sent, [
        ["cancel", 1, HOUR],
        ["usage", 2, HOUR],
        ["usage", 0, HOUR + HOUR_MS],
      ]);
    },
  },
  {
    title: "keeps a correction of the biller's books out of every sum of usage",
    run: async (tools) => {
      const { store, same } = tools;
      const row = await rowIn(tools, "accepted");
      const before = [await store.laneTotals(), await hourWindows(store), await store.dueTotals(HOUR_MS)];
      const added = await store.addRow(adjustOf(row, -3), "operator:ada", "they have it twice", HOUR + 5);
      same([added?.kind, added?.sequence, added?.value], ["adjust", 1, fromInteger(-3)]);
      same([await store.laneTotals(), await hourWindows(store), await store.dueTotals(HOUR_MS)], before);
      same(
        (await store.outboxTotals()).toSorted((a, b) => (a.state < b.state ? -1 : 1)),
        [
          { meter: "tokens", state: "accepted", rows: 1, raw: row.raw, value: row.value, shadow: 0n },
          { meter: "tokens", state: "pending", rows: 1, raw: 0n, value: 0n, shadow: 0n },
        ],
      );
      const claim = await onlyClaim(tools, HOUR + 6);
      same([claim.row.rowId, claim.row.reported], [added?.rowId, fromInteger(-3)]);
      await store.ingest([counted({ id: "late" }, 2)], HOUR);
      const [late] = await hourWindows(store);
      same([late?.nextSequence, late?.enqueuedRaw, late?.runningValue], [2, row.raw, row.value]);
    },
  },
];
