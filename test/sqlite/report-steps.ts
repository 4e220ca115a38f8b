import * as fc from "fast-check";

import { fromInteger } from "../../src/core/decimal.ts";
import {
  OUTBOX_STATES,
  type AttemptOutcome,
  type Claim,
  type OutboxRow,
  type RowChange,
  type Store,
} from "../../src/engine/ports.ts";
import { adjustOf, cancelOf } from "../../src/testing/store-suite/change-cases.ts";
import { counted, enqueueAll, HOUR, HOUR_MS, hourWindows, reportOf } from "../../src/testing/store-suite/store-case.ts";

/** One call, made on two stores; its answers are compared. */
export type Step = (store: Store) => Promise<unknown>;

const OUTCOMES = ["accepted", "read_back", "retry", "fresh", "dead", "conflict", "stopped", "absent", "wait"] as const;

const sending = fc
  .record({
    outcome: fc.constantFrom(...OUTCOMES),
    begins: fc.boolean(),
    resend: fc.boolean(),
    settles: fc.integer({ min: 0, max: 4 }),
  })
  .map(({ outcome, begins, resend, settles }): Step => async (store) => {
    const claims: readonly Claim[] = await store.claim({ now: HOUR, leaseMs: 10, holder: "h", limit: 3 });
    for (const { row, token } of claims) {
      if (begins) await store.beginAttempt(row.rowId, token, HOUR + row.rowId, resend);
      // Now and then a reporter dies here; the next claim finds its lease over.
      if (settles > 0) await store.settle(row.rowId, token, outcomeOf(outcome, row, begins), HOUR + 7);
    }
    return [claims, settles > 0 ? [] : await store.claim({ now: HOUR + 10, leaseMs: 10, holder: "i", limit: 1 })];
  });

function outcomeOf(name: (typeof OUTCOMES)[number], { rowId }: OutboxRow, wasCalled: boolean): AttemptOutcome {
  const requestId = wasCalled ? `req_${rowId}` : null;
  const reason = `why ${name}`;
  const later = { reason, nextAttemptAt: HOUR };
  const outcomes: Readonly<Record<(typeof OUTCOMES)[number], AttemptOutcome>> = {
    accepted: { kind: "accepted", requestId },
    read_back: { kind: "accepted", requestId, reason },
    retry: { kind: "retry", requestId, ...later },
    fresh: { kind: "retry", requestId, ...later, freshKey: true },
    dead: { kind: "dead", reason, requestId },
    conflict: { kind: "conflict", reason, requestId },
    stopped: { kind: "stopped", reason },
    absent: { kind: "absent", reason, nextAttemptAt: HOUR + (rowId % 2) },
    wait: { kind: "wait", ...later },
  };
  return outcomes[name];
}

type ToEnqueue = Parameters<Store["enqueue"]>[0];

/** Closes up to six windows: whole, in two parts, held, written off, and one without a row. */
const closing = fc.constant<Step>(async (store) => {
  // The memory and the SQLite store may order windows of the same instant differently, so the test picks.
  const windows = (await hourWindows(store)).toSorted(
    (a, b) =>
      a.windowStart - b.windowStart ||
      (JSON.stringify([a.meter, a.company]) < JSON.stringify([b.meter, b.company]) ? -1 : 1),
  );
  const rows = windows.slice(0, 6).flatMap((basis, place): ToEnqueue => {
    if (place === 5) return [{ basis, row: null }];
    const customer = `cus_${basis.company.length}`;
    const parts = { customer, identifier: `mb_${place}`, value: basis.total / 10n ** 12n };
    const unsent = { ...parts, customer: null, identifier: null };
    if (place === 1) return [{ basis, row: reportOf(basis, { ...unsent, state: "held", reason: "no_customer" }) }];
    if (place === 2)
      return [{ basis, row: reportOf(basis, { ...unsent, state: "dead", reason: "written_off", late: "write_off" }) }];
    if (place !== 3) return [{ basis, row: reportOf(basis, parts) }];
    const half = (basis.total - basis.enqueuedRaw) / 2n;
    const first = reportOf(basis, { ...parts, raw: half, value: half });
    const next = {
      ...basis,
      enqueuedRaw: basis.enqueuedRaw + half,
      nextSequence: basis.nextSequence + 1,
      runningRaw: basis.runningRaw + half,
      runningValue: basis.runningValue + half,
    };
    return [
      { basis, row: first },
      { basis: next, row: reportOf(next, { ...parts, mode: "set" }) },
    ];
  });
  return [await store.enqueue(rows, HOUR), windows];
});

/** The row at a place of the list, if there is one. */
async function rowAt(
  store: Store,
  place: number,
  query: { state?: OutboxRow["state"] } = {},
): Promise<OutboxRow | null> {
  const rows = await store.outbox({ ...query, limit: 1_000 });
  return rows[place % Math.max(1, rows.length)] ?? null;
}

const place = fc.nat({ max: 40 });
const state = fc.constantFrom(...OUTBOX_STATES);

const changing = fc
  .record({ at: place, to: state, from: fc.option(state, { freq: 4 }), resend: fc.boolean() })
  .map(({ at, to, from, resend }): Step => async (store) => {
    const row = await rowAt(store, at);
    if (row === null) return null;
    const late = at % 2 === 0 ? ({ late: "carry" } as const) : {};
    const change: RowChange = {
      ...late,
      rowId: row.rowId,
      from: from ?? row.state,
      to,
      reason: `to ${to}`,
      author: "test",
      resend,
    };
    return store.changeRow(change, HOUR + 3);
  });

const settling = place.map((at): Step => async (store) => {
  const row = await rowAt(store, at, { state: "accepted" });
  return store.settleRows(row === null ? [1, 2, 3] : [row.rowId, row.rowId], HOUR + 4);
});

const adding = fc
  .record({ at: place, kind: fc.constantFrom("cancel", "adjust"), wanted: fc.constantFrom("accepted", "settled") })
  .map(({ at, kind, wanted }): Step => async (store) => {
    const row = await rowAt(store, at, { state: wanted });
    if (row === null) return null;
    return store.addRow(kind === "cancel" ? cancelOf(row) : adjustOf(row, at - 20), "test", "why", HOUR + 5);
  });

const holding = fc
  .record({ at: place, reason: fc.constantFrom("no_customer", "late_usage", "too_old"), releases: fc.boolean() })
  .map(({ at, reason, releases }): Step => async (store) => {
    const row = await rowAt(store, at, { state: "held" });
    if (row === null) return null;
    if (!releases) {
      const { company, reportAs, rowId, timestamp } = row;
      const selections = [{ company, reportAs }, { rowId }, { timestampBefore: timestamp }];
      return store.hold(selections[at % 3] ?? { rowId }, reason, HOUR + 6);
    }
    const release = { ...row, customer: `cus_${at % 3}`, identifier: `mb_released_${row.rowId}` };
    return store.release([{ ...release, mode: "set", reported: fromInteger(at), late: "carry" }], HOUR + 6);
  });

/** Closed and marked usage of two companies, with late usage in some windows. */
export const manyReports: Step = async (store) => {
  const entries = ["acme", "beta"].flatMap((company) =>
    [0, 1, 2, 3].map((hour) => counted({ id: `${company}-${hour}`, company, time: HOUR + hour * HOUR_MS }, 5 + hour)),
  );
  await store.ingest(entries, HOUR);
  await enqueueAll(store);
  await store.ingest([counted({ id: "late" }, 1), counted({ id: "next", time: HOUR + 5 * HOUR_MS }, 3)], HOUR);
};

/** What the reporter, the biller's books and an operator do with reports. */
export const reportStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: closing },
  { weight: 4, arbitrary: sending },
  { weight: 2, arbitrary: changing },
  { weight: 1, arbitrary: settling },
  { weight: 2, arbitrary: adding },
  { weight: 1, arbitrary: holding },
);

/** All that can be asked about reports. */
export async function reportAnswers(store: Store): Promise<unknown> {
  const rows = await store.outbox({ limit: 1_000 });
  const customers = [...new Set(rows.flatMap(({ customer }) => customer ?? []))];
  return {
    rows,
    histories: await Promise.all(rows.map(({ rowId }) => store.rowHistory(rowId))),
    byState: await Promise.all(OUTBOX_STATES.map((each) => store.outbox({ state: each, limit: 1_000 }))),
    byLane: await Promise.all(
      customers.map((customer) =>
        store.outbox({ customer, reportAs: "tokens", timestampFrom: HOUR, timestampTo: HOUR + HOUR_MS, limit: 1_000 }),
      ),
    ),
    reported: await Promise.all(
      [HOUR - 2 * HOUR_MS, HOUR].map(async (from) =>
        (await store.reportedLanes({ from, to: HOUR + 2 * HOUR_MS })).map((lane) => JSON.stringify(lane)).toSorted(),
      ),
    ),
    heldLanes: (await store.heldLanes())
      .map((each) => JSON.stringify([each.company, each.reportAs, each.rows, each.reason]))
      .toSorted(),
  };
}
