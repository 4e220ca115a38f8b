import { fromInteger, type Decimal } from "../../core/decimal.ts";
import { SHADOW, type DirtyWindow, type NewOutboxRow, type Store } from "../../engine/ports.ts";
import { rowsOf } from "./outbox-cases.ts";
import { counted, enqueueAll, HOUR, HOUR_MS, hourWindows, reportOf, type StoreCase } from "./store-case.ts";

interface Part {
  readonly basis: DirtyWindow;
  readonly row: NewOutboxRow;
}

/** Parts of a window, each with a basis that goes on from the part before. */
function partsOf(window: DirtyWindow, parts: readonly { readonly raw: Decimal; readonly timestamp: number }[]): Part[] {
  const made: Part[] = [];
  let basis = window;
  for (const { raw, timestamp } of parts) {
    const { nextSequence, enqueuedRaw, runningRaw, runningValue } = basis;
    made.push({ basis, row: reportOf(basis, { raw, value: raw, reported: raw, timestamp }) });
    basis = {
      ...basis,
      enqueuedRaw: enqueuedRaw + raw,
      nextSequence: nextSequence + 1,
      runningRaw: runningRaw + raw,
      runningValue: runningValue + raw,
    };
  }
  return made;
}

async function firstWindow(store: Store): Promise<DirtyWindow> {
  const [window] = await hourWindows(store);
  if (window === undefined) throw new Error("no window");
  return window;
}

const HALF_MS = HOUR_MS / 2;
const usage = [counted({ id: "a" }, 5), counted({ id: "b", time: HOUR + HALF_MS }, 3)];

/** Windows that become several rows, and finding rows. */
export const closingCases: readonly StoreCase[] = [
  {
    title: "closes a window as several rows in one call, each going on from the one before",
    run: async ({ store, same }) => {
      await store.ingest(usage, HOUR);
      const cuts = [5, 2, 1].map((raw, place) => ({ raw: fromInteger(raw), timestamp: HOUR + place * HALF_MS }));
      same(await store.enqueue(partsOf(await firstWindow(store), cuts), HOUR), 3);
      same(
        (await rowsOf(store)).map(({ sequence, raw, timestamp }) => [sequence, raw, timestamp]),
        cuts.map(({ raw, timestamp }, place) => [place, raw, timestamp]),
      );
      const sum = fromInteger(8);
      const sums = { raw: sum, value: sum, runningRaw: sum, runningValue: sum, cancels: 0 };
      same([await store.laneTotals(), await hourWindows(store)], [[{ meter: "tokens", company: "acme", ...sums }], []]);
    },
  },
  {
    title: "keeps the mark of a window while its rows do not cover it",
    run: async ({ store, same }) => {
      await store.ingest(usage, HOUR);
      const [first, second] = partsOf(await firstWindow(store), [
        { raw: fromInteger(5), timestamp: HOUR },
        { raw: fromInteger(3), timestamp: HOUR + HALF_MS },
      ]);
      if (first === undefined || second === undefined) throw new Error("no parts");
      const wrong = { ...second, basis: { ...second.basis, enqueuedRaw: 0n } };
      same(await store.enqueue([first, wrong], HOUR), 1);
      same(await firstWindow(store), second.basis);
      same(await store.dueTotals(HOUR_MS), [{ meter: "tokens", value: fromInteger(3) }]);
      same(await store.enqueue([second], HOUR), 1);
      same(await hourWindows(store), []);
    },
  },
  {
    title: "takes parts that take usage back from one side and add it to the other",
    run: async ({ store, same }) => {
      await store.ingest(usage, HOUR);
      const cuts = [9, -1].map((raw, place) => ({ raw: fromInteger(raw), timestamp: HOUR + place * HALF_MS }));
      same(await store.enqueue(partsOf(await firstWindow(store), cuts), HOUR), 2);
      same([await hourWindows(store), await store.dueTotals(HOUR_MS)], [[], []]);
    },
  },
  {
    title: "keeps written-off usage as stated, so that nobody is billed for it later",
    run: async ({ store, same }) => {
      await store.ingest(usage, HOUR);
      const unsent = { customer: null, identifier: null, late: "write_off" } as const;
      same(await enqueueAll(store, { state: "dead", reason: "written_off", ...unsent }), 1);
      const [row] = await rowsOf(store);
      same([row?.state, row?.reason, row?.late, row?.acceptedAt], ["dead", "written_off", "write_off", null]);
      same(await store.claim({ now: HOUR, leaseMs: 1_000, holder: "h", limit: 9 }), []);
      await store.ingest([counted({ id: "more", time: HOUR + HOUR_MS }, 1)], HOUR);
      const next = await firstWindow(store);
      same([next.runningRaw, next.runningValue], [fromInteger(8), fromInteger(8)]);
    },
  },
  {
    title: "finds the marked windows of one company",
    run: async ({ store, same }) => {
      const entries = ["acme", "beta", "acme"].map((company, place) =>
        counted({ id: `${place}`, company, time: HOUR + place * HOUR_MS }, 5),
      );
      await store.ingest(entries, HOUR);
      const starts = async (company: string): Promise<readonly number[]> =>
        (await store.dirtyWindows({ windowMs: HOUR_MS, before: HOUR * 2, limit: 9, company })).map(
          ({ windowStart }) => windowStart,
        );
      same(await starts("acme"), [HOUR, HOUR + 2 * HOUR_MS]);
      same([await starts("beta"), await starts("nobody")], [[HOUR + HOUR_MS], []]);
      const query = { windowMs: HOUR_MS, before: HOUR + 2 * HOUR_MS, limit: 9, company: "acme" };
      same((await store.dirtyWindows(query)).length, 1);
      same((await store.dirtyWindows({ ...query, before: HOUR * 2, limit: 1 })).length, 1);
    },
  },
  {
    title: "goes through the marked windows page by page, though what it has read is closed meanwhile",
    run: async ({ store, same }) => {
      const companies = ["beta", "acme", "Ωmega", "zeta"];
      const hours = [2, 0, 1];
      const entries = hours.flatMap((hour) =>
        companies.flatMap((company) => [
          counted({ id: `${company}-${hour}`, company, time: HOUR + hour * HOUR_MS }, 5),
          counted({ id: `${company}-${hour}-more`, company, time: HOUR + hour * HOUR_MS + HALF_MS }, 5),
        ]),
      );
      await store.ingest(entries, HOUR);
      const query = { windowMs: HOUR_MS, from: HOUR + HOUR_MS, before: HOUR * 2, limit: 3 };
      const seen: string[] = [];
      let page = await store.dirtyWindows(query);
      for (let after = page.at(-1); after !== undefined; after = page.at(-1)) {
        seen.push(...page.map(({ company, windowStart }) => `${(windowStart - HOUR) / HOUR_MS} ${company}`));
        // Of every other page one window is left as it is.
        const closed = seen.length % 2 === 0 ? page : page.slice(1);
        await store.enqueue(
          closed.map((basis) => ({ basis, row: reportOf(basis, { raw: basis.total }) })),
          HOUR,
        );
        page = await store.dirtyWindows({ ...query, after });
      }
      same(
        seen.map((name) => name.slice(0, 1)),
        ["1", "1", "1", "1", "2", "2", "2", "2"],
      );
      same(seen.toSorted(), [1, 2].flatMap((hour) => companies.map((company) => `${hour} ${company}`)).toSorted());
    },
  },
  {
    title: "tells the part of the sums that was not sent on purpose",
    run: async ({ store, same }) => {
      await store.ingest(usage, HOUR);
      await enqueueAll(store, { state: "accepted", reason: SHADOW });
      await store.ingest([counted({ id: "more", time: HOUR + HOUR_MS }, 2)], HOUR);
      await enqueueAll(store, { state: "accepted" });
      const sums = { raw: fromInteger(10), value: fromInteger(10), shadow: fromInteger(8) };
      same(await store.outboxTotals(), [{ meter: "tokens", state: "accepted", rows: 2, ...sums }]);
    },
  },
  {
    title: "keeps every fact of a row",
    run: async (tools) => {
      await tools.store.ingest(usage, HOUR);
      const facts = { mode: "set", reported: fromInteger(77), late: "carry", timestamp: HOUR + HALF_MS } as const;
      await enqueueAll(tools.store, facts);
      const [row] = await rowsOf(await tools.reopen());
      tools.same({ ...row, ...facts, kind: "usage", cancels: null }, row);
    },
  },
  {
    title: "finds rows by number, identifier, customer and stated time",
    run: async ({ store, same }) => {
      const entries = ["acme", "beta"].flatMap((company) =>
        [0, 1, 2].map((hour) => counted({ id: `${company}-${hour}`, company, time: HOUR + hour * HOUR_MS }, 5)),
      );
      await store.ingest(entries, HOUR);
      await enqueueAll(store);
      const find = async (query: Partial<Parameters<Store["outbox"]>[0]>): Promise<readonly number[]> =>
        (await store.outbox({ limit: 100, ...query })).map(({ rowId }) => rowId);
      const rows = await rowsOf(store);
      for (const { rowId, identifier } of rows) {
        same(await find({ rowId }), [rowId]);
        same(await find({ identifier: identifier ?? "" }), [rowId]);
      }
      const acme = rows.filter(({ company }) => company === "acme").map(({ rowId }) => rowId);
      same(await find({ customer: "cus_acme" }), acme);
      const lane = { customer: "cus_acme", reportAs: "tokens" };
      same(await find({ ...lane, timestampFrom: HOUR + HOUR_MS }), acme.slice(1));
      same(await find({ ...lane, timestampTo: HOUR + HOUR_MS }), acme.slice(0, 1));
      same(await find({ ...lane, timestampFrom: HOUR + 1, timestampTo: HOUR + 2 * HOUR_MS }), acme.slice(1, 2));
      same(await find({ ...lane, timestampFrom: HOUR, state: "settled" }), []);
      const nothing = [{ rowId: 99 }, { identifier: "mb" }, { customer: "cus_nobody" }, { ...lane, reportAs: "calls" }];
      for (const query of nothing) same(await find(query), []);
    },
  },
];
