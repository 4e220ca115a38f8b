import { fromInteger } from "../../core/decimal.ts";
import {
  NOTHING_TO_SEND,
  SHADOW,
  type BilledPeriod,
  type BillerLane,
  type Drift,
  type Reconciliation,
} from "../../engine/ports.ts";
import { cancelOf } from "./change-cases.ts";
import { rowsOf } from "./outbox-cases.ts";
import { counted, enqueueAll, HOUR, HOUR_MS, type StoreCase } from "./store-case.ts";

const acme: BillerLane = { customer: "cus_acme", reportAs: "tokens" };
const beta: BillerLane = { customer: "cus_beta", reportAs: "tokens" };

function driftOf(lane: BillerLane, hour: number, parts: Partial<Drift> = {}): Drift {
  const from = HOUR + hour * HOUR_MS;
  const sums = { ours: fromInteger(5), theirs: 4_500_000_000_000n, verdict: "missing" } as const;
  return { ...lane, from, to: from + HOUR_MS, ...sums, rowIds: [1, 2], foundAt: HOUR, ...parts };
}

function periodOf(lane: BillerLane, from: number, to: number, renews = true): BilledPeriod {
  return { ...lane, from, to, renews };
}

function byCustomer(a: BillerLane, b: BillerLane): number {
  return JSON.stringify([a.customer, a.reportAs]) < JSON.stringify([b.customer, b.reportAs]) ? -1 : 1;
}

function check(lane: BillerLane, checkedAt: number): Reconciliation {
  return { ...lane, checkedAt, agreedUntil: checkedAt - 1 };
}

/** What is known of the biller's books. */
export const bookCases: readonly StoreCase[] = [
  {
    title: "names the lanes with rows at the biller that are stated in a range",
    run: async ({ store, same }) => {
      const states = [
        ["acme", { state: "accepted" }],
        ["beta", { state: "pending" }],
        ["gamma", { state: "accepted", reason: SHADOW }],
        ["delta", { state: "accepted", reason: NOTHING_TO_SEND, customer: null, identifier: null }],
        ["eta", { state: "accepted", reason: "read_back" }],
      ] as const;
      for (const [company, parts] of states) {
        await store.ingest(
          [0, 1].map((hour) => counted({ id: `${company}${hour}`, company, time: HOUR + hour }, 5)),
          0,
        );
        await enqueueAll(store, parts);
      }
      const lanes = async (from: number, to: number): Promise<readonly BillerLane[]> =>
        (await store.reportedLanes({ from, to })).toSorted(byCustomer);
      const both = [acme, { customer: "cus_eta", reportAs: "tokens" }];
      same(await lanes(HOUR, HOUR + 1), both);
      const [row] = await store.outbox({ company: "acme", limit: 1 });
      await store.settleRows([row?.rowId ?? 0], HOUR);
      same(await lanes(0, HOUR + HOUR_MS), both);
      same([await lanes(HOUR + 1, HOUR * 2), await lanes(0, HOUR)], [[], []]);
      await store.ingest([counted({ id: "next", company: "acme", time: HOUR + HOUR_MS }, 1)], 0);
      await enqueueAll(store, { state: "accepted", reportAs: "other" });
      same(await lanes(HOUR + 1, HOUR * 2), [{ ...acme, reportAs: "other" }]);
      same(await lanes(0, HOUR * 2), [{ ...acme, reportAs: "other" }, ...both].toSorted(byCustomer));
    },
  },
  {
    title: "replaces the drifts of one lane and range, and keeps all others",
    run: async (tools) => {
      const { store, same } = tools;
      same(await store.drifts(), []);
      const surplus = driftOf(acme, 1, { verdict: "surplus", theirs: 10n ** 32n + 1n, ours: -3n, rowIds: [] });
      await store.putDrifts(acme, HOUR, HOUR + 9 * HOUR_MS, [driftOf(acme, 2), surplus]);
      await store.putDrifts(beta, HOUR, HOUR + 9 * HOUR_MS, [driftOf(beta, 0, { verdict: "inexact" })]);
      same(await store.drifts(), [driftOf(beta, 0, { verdict: "inexact" }), surplus, driftOf(acme, 2)]);
      await store.putDrifts(acme, HOUR + HOUR_MS, HOUR + 2 * HOUR_MS, []);
      same(await (await tools.reopen()).drifts(), [driftOf(beta, 0, { verdict: "inexact" }), driftOf(acme, 2)]);
      const again = await tools.reopen();
      await again.putDrifts(acme, HOUR, HOUR + 9 * HOUR_MS, [driftOf(acme, 3)]);
      await again.putDrifts(beta, HOUR, HOUR + HOUR_MS, []);
      same(await again.drifts(), [driftOf(acme, 3)]);
    },
  },
  {
    title: "knows when each lane was compared, longest ago first",
    run: async ({ store, same }) => {
      for (const each of [check(acme, 5), check(beta, 4), check({ ...acme, reportAs: "calls" }, 9), check(acme, 7)])
        await store.putReconciliation(each);
      const known = [check(beta, 4), check(acme, 7), check({ ...acme, reportAs: "calls" }, 9)];
      same(await store.reconciliations(), known);
    },
  },
  {
    title: "keeps billing periods for ever, and the last word on each",
    run: async (tools) => {
      const { store, same } = tools;
      const month = 30 * 24 * HOUR_MS;
      await store.putPeriods([periodOf(acme, HOUR, HOUR + month), periodOf(beta, HOUR - 1, HOUR + month)]);
      await store.putPeriods([periodOf(acme, HOUR + month, HOUR + 2 * month)]);
      await store.putPeriods([periodOf(acme, HOUR + month, HOUR + month + 1, false)]);
      await store.putPeriods([]);
      const own = [periodOf(acme, HOUR, HOUR + month), periodOf(acme, HOUR + month, HOUR + month + 1, false)];
      same(await store.periods(acme), own);
      const again = await tools.reopen();
      same(await again.periods(), [periodOf(beta, HOUR - 1, HOUR + month), ...own]);
      same(await again.periods({ ...acme, reportAs: "calls" }), []);
      same(await again.periods({ customer: "cus_nobody", reportAs: "tokens" }), []);
    },
  },
  {
    title: "keeps apart the periods of two subscription items that begin in one second, and ends each by itself",
    run: async (tools) => {
      const { store, same } = tools;
      const [one, two] = ["si_1", "si_2"].map((item, at) => ({ ...periodOf(acme, HOUR, HOUR + 10 + at), item }));
      if (one === undefined || two === undefined) throw new Error("no periods");
      await store.putPeriods([one, two]);
      same(await store.periods(acme), [one, two]);
      await store.putPeriods([{ ...one, to: HOUR + 5, renews: false }]);
      const again = await tools.reopen();
      const known = [{ ...one, to: HOUR + 5, renews: false }, two];
      same([await again.periods(acme), await again.periods()], [known, known]);
      const unnamed = periodOf(acme, HOUR, HOUR + 20);
      await again.putPeriods([unnamed]);
      same(await again.periods(acme), [unnamed, ...known]);
    },
  },
  {
    title: "lets a name be taken once, whoever asks and whenever",
    run: async (tools) => {
      const { store, same } = tools;
      const all = await Promise.all(["evt_1", "evt_1", "evt_2"].map((name) => store.takeOnce(name, HOUR)));
      same(all, [true, false, true]);
      const again = await tools.reopen();
      same([await again.takeOnce("evt_1", HOUR * 2), await again.takeOnce("", 0)], [false, true]);
    },
  },
  {
    title: "shows a snapshot the histories and books of its instant",
    run: async ({ store, same }) => {
      await store.ingest([counted({ id: "a" }, 5)], HOUR);
      await enqueueAll(store, { state: "accepted" });
      const [row] = await rowsOf(store);
      if (row === undefined) throw new Error("no row");
      await store.putPeriods([periodOf(acme, 1, 2)]);
      const then = await store.snapshot();
      await store.settleRows([row.rowId], HOUR);
      await store.addRow(cancelOf(row), "operator:ada", "why", HOUR);
      await store.putPeriods([periodOf(acme, 2, 3)]);
      await store.putDrifts(acme, HOUR, HOUR + HOUR_MS, [driftOf(acme, 0)]);
      await store.putReconciliation({ ...acme, checkedAt: 1, agreedUntil: 0 });
      same([await then.rowHistory(row.rowId), await then.outbox({ limit: 9 })], [[], [row]]);
      same([await then.periods(), await then.drifts(), await then.reconciliations()], [[periodOf(acme, 1, 2)], [], []]);
      await then.close();
      same([(await store.rowHistory(row.rowId)).length, (await store.drifts()).length], [2, 1]);
    },
  },
];
