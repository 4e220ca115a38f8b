import type { AttemptOutcome, Claim, OutboxRow } from "../../engine/ports.ts";
import { onlyClaim, rowsOf } from "./outbox-cases.ts";
import { counted, enqueueAll, HOUR, HOUR_MS, type CaseTools, type StoreCase } from "./store-case.ts";

const MINUTE_MS = 60_000;

/** The claim of the only row there is. */
async function claimed(tools: CaseTools): Promise<Claim> {
  await tools.store.ingest([counted({ id: "a" }, 5)], HOUR);
  await enqueueAll(tools.store);
  return onlyClaim(tools, HOUR);
}

/** One try that ends so, at one instant, and the row after it. */
async function tryOnce(
  tools: CaseTools,
  now: number,
  outcome: AttemptOutcome,
  resend = false,
): Promise<OutboxRow | undefined> {
  const { row, token } = await onlyClaim(tools, now);
  await tools.store.beginAttempt(row.rowId, token, now, resend);
  await tools.store.settle(row.rowId, token, outcome, now);
  return (await rowsOf(tools.store))[0];
}

/** A reading of the biller's books that ends so. */
async function readOnce(tools: CaseTools, now: number, outcome: AttemptOutcome): Promise<OutboxRow | undefined> {
  const { row, token } = await onlyClaim(tools, now);
  await tools.store.settle(row.rowId, token, outcome, now);
  return (await rowsOf(tools.store))[0];
}

function retry(nextAttemptAt: number, requestId: string | null = null): AttemptOutcome {
  return { kind: "retry", reason: "no answer", nextAttemptAt, requestId };
}

function absent(nextAttemptAt: number): AttemptOutcome {
  return { kind: "absent", reason: "not in the books", nextAttemptAt };
}

const stopped: AttemptOutcome = { kind: "stopped", reason: "401" };
const seconds = (count: number): number => HOUR + count * 1_000;

/** What an attempt, and a reading of the biller's books, leave on a row and in its history. */
export const attemptCases: readonly StoreCase[] = [
  {
    title: "knows the first and the last attempt",
    run: async (tools) => {
      await claimed(tools);
      await tryOnce(tools, seconds(2), retry(seconds(5)));
      const row = await tryOnce(tools, seconds(5), retry(seconds(9)));
      tools.same([row?.attempts, row?.firstAttemptAt, row?.lastAttemptAt], [2, seconds(2), seconds(5)]);
    },
  },
  {
    title: "holds a row again that was never tried, until it is released under another address",
    run: async (tools) => {
      const { row, token } = await claimed(tools);
      tools.same(await tools.store.settle(row.rowId, token, { kind: "held", reason: "late" }, seconds(2)), true);
      const [held] = await rowsOf(tools.store);
      tools.same([held?.state, held?.reason, held?.attempts], ["held", "late", 0]);
      const address = { customer: "cus_other", identifier: "id_other", timestamp: seconds(60) };
      const release = { rowId: row.rowId, ...address, mode: "delta", reported: row.reported, late: "carry" } as const;
      tools.same(await tools.store.release([release], seconds(3)), 1);
      const [again] = await rowsOf(tools.store);
      tools.same(
        [again?.state, again?.customer, again?.identifier, again?.timestamp, again?.late],
        ["pending", "cus_other", "id_other", seconds(60), "carry"],
      );
    },
  },
  {
    title: "keeps the first of the readings that did not show a row, until it is tried again",
    run: async (tools) => {
      await claimed(tools);
      await tryOnce(tools, seconds(2), retry(seconds(5)));
      await readOnce(tools, seconds(5), absent(seconds(605)));
      const second = await readOnce(tools, seconds(605), absent(seconds(1_205)));
      const { state, reason, attempts, absentSince, nextAttemptAt, lastAttemptAt } = second ?? {};
      tools.same(
        [state, reason, attempts, absentSince, nextAttemptAt, lastAttemptAt],
        ["pending", "not in the books", 1, seconds(5), seconds(1_205), seconds(2)],
      );
      tools.same(await tools.store.claim({ now: seconds(1_204), leaseMs: 1_000, holder: "h", limit: 9 }), []);
      const tried = await tryOnce(tools, seconds(1_205), retry(seconds(1_300)));
      tools.same([tried?.absentSince, tried?.resentAt, tried?.attempts], [null, null, 2]);
    },
  },
  {
    title: "waits without counting anything where nothing could be decided",
    run: async (tools) => {
      await claimed(tools);
      const before = await tryOnce(tools, seconds(2), retry(seconds(5)));
      const wait = { kind: "wait", reason: "the books cannot be read", nextAttemptAt: seconds(600) } as const;
      const after = await readOnce(tools, seconds(5), wait);
      tools.same(after, { ...before, reason: wait.reason, nextAttemptAt: wait.nextAttemptAt });
      tools.same((await tools.store.rowHistory(after?.rowId ?? 0)).length, 1);
    },
  },
  {
    title: "sends again under another key, and counts the safe interval anew",
    run: async (tools) => {
      const { row, epoch } = await claimed(tools);
      await tryOnce(tools, seconds(2), retry(seconds(5)));
      await readOnce(tools, seconds(5), absent(seconds(605)));
      const sent = await tryOnce(tools, seconds(605), retry(seconds(700)), true);
      const { firstAttemptAt, lastAttemptAt, resentAt, absentSince, identifier } = sent ?? {};
      tools.same(
        [firstAttemptAt, lastAttemptAt, resentAt, absentSince, identifier],
        [seconds(2), seconds(605), seconds(605), null, row.identifier],
      );
      const next = await onlyClaim(tools, seconds(700));
      tools.same(next.epoch, epoch + 1);
      await tools.store.beginAttempt(next.row.rowId, next.token, seconds(700), true);
      tools.same((await rowsOf(tools.store))[0]?.resentAt, seconds(700));
      await tools.store.settle(next.row.rowId, next.token, stopped, seconds(700));
      tools.same((await rowsOf(tools.store))[0]?.resentAt, seconds(605));
      await tryOnce(tools, seconds(701), retry(seconds(702)));
      tools.same((await rowsOf(tools.store))[0]?.resentAt, seconds(605));
    },
  },
  {
    title: "gives a row back the times that it had before an attempt that was refused",
    run: async (tools) => {
      await claimed(tools);
      await tryOnce(tools, seconds(2), retry(seconds(5)));
      const read = await readOnce(tools, seconds(5), absent(seconds(605)));
      tools.same(await tryOnce(tools, seconds(605), stopped, true), { ...read, reason: "401" });
      tools.same(await tryOnce(tools, seconds(606), stopped), { ...read, reason: "401" });
      const { row, token } = await onlyClaim(tools, seconds(607));
      await tools.store.settle(row.rowId, token, { kind: "stopped", reason: "put back" }, seconds(607));
      tools.same((await rowsOf(tools.store))[0], { ...read, reason: "put back" });
    },
  },
  {
    title: "keeps the start of the safe interval when a call after an interrupted one is refused",
    run: async (tools) => {
      const interrupted = await claimed(tools);
      await tools.store.beginAttempt(interrupted.row.rowId, interrupted.token, HOUR);
      const row = await tryOnce(tools, HOUR + MINUTE_MS, stopped);
      tools.same([row?.attempts, row?.firstAttemptAt, row?.lastAttemptAt], [1, HOUR, HOUR]);
    },
  },
  {
    title: "lets later reports pass one that waits to be read back, one at a time",
    run: async ({ store, same }) => {
      const hours = [0, 1, 2].map((hour) => counted({ id: `${hour}`, time: HOUR + hour * HOUR_MS }, 5));
      await store.ingest(hours, HOUR);
      await enqueueAll(store);
      const turn = async (now: number, outcome: AttemptOutcome, begins: boolean): Promise<readonly unknown[]> => {
        const claims = await store.claim({ now, leaseMs: 1_000, holder: "h", limit: 9 });
        for (const { row, token } of claims) {
          if (begins) await store.beginAttempt(row.rowId, token, now);
          await store.settle(row.rowId, token, outcome, now);
        }
        return claims.map(({ row }) => (row.windowStart - HOUR) / HOUR_MS);
      };
      same(await turn(HOUR, retry(seconds(60)), true), [0]);
      same(await turn(seconds(59), retry(seconds(60)), true), []);
      same(await turn(seconds(60), absent(seconds(660)), false), [0]);
      same(await turn(seconds(61), { kind: "accepted", requestId: null }, true), [1]);
      same(await turn(seconds(62), retry(seconds(90)), true), [2]);
      same(await turn(seconds(660), { kind: "accepted", requestId: null, reason: "read_back" }, false), [0]);
      same(await turn(seconds(661), { kind: "accepted", requestId: null }, true), [2]);
    },
  },
  {
    title: "keeps the order of a lane whose biller keeps the last total that it receives",
    run: async ({ store, same }) => {
      await store.ingest(
        [0, 1].map((hour) => counted({ id: `${hour}`, time: HOUR + hour * HOUR_MS }, 5)),
        HOUR,
      );
      await enqueueAll(store, { mode: "set" });
      const [first] = await store.claim({ now: HOUR, leaseMs: 1_000, holder: "h", limit: 9 });
      if (first === undefined) throw new Error("nothing could be claimed");
      await store.beginAttempt(first.row.rowId, first.token, HOUR);
      await store.settle(first.row.rowId, first.token, absent(seconds(600)), HOUR);
      same(await store.claim({ now: seconds(599), leaseMs: 1_000, holder: "h", limit: 9 }), []);
    },
  },
  {
    title: "keeps how it is known that a row is at the biller",
    run: async (tools) => {
      await claimed(tools);
      await tryOnce(tools, seconds(2), retry(seconds(5)));
      const row = await readOnce(tools, seconds(5), { kind: "accepted", requestId: null, reason: "read_back" });
      tools.same([row?.state, row?.reason, row?.acceptedAt], ["accepted", "read_back", seconds(5)]);
    },
  },
  {
    title:
      "remembers what became of a row, in order, also after it was opened anew and under a clock that was set back",
    run: async (tools) => {
      const { row } = await claimed(tools);
      await tryOnce(tools, seconds(100), retry(seconds(1), "req_1"));
      await tryOnce(tools, seconds(2), { kind: "conflict", reason: "who knows", requestId: "req_2" });
      const change = { rowId: row.rowId, reason: "look again", author: "operator:ada" } as const;
      await tools.store.changeRow({ ...change, from: "conflict", to: "pending" }, seconds(1));
      await readOnce(tools, seconds(3), absent(seconds(4)));
      const { token } = await onlyClaim(tools, seconds(4));
      await tools.store.beginAttempt(row.rowId, token, seconds(4), true);
      const attempt = { what: "attempt", author: null } as const;
      const lines = [
        { ...attempt, at: seconds(100), to: "retry", reason: "no answer", requestId: "req_1" },
        { ...attempt, at: seconds(2), to: "conflict", reason: "who knows", requestId: "req_2" },
        {
          at: seconds(1),
          what: "change",
          to: "pending",
          reason: "look again",
          author: "operator:ada",
          requestId: null,
        },
        {
          at: seconds(3),
          what: "change",
          to: "pending",
          reason: "not in the books",
          author: "reporter",
          requestId: null,
        },
        { ...attempt, at: seconds(4), to: null, reason: null, requestId: null },
      ];
      tools.same(await tools.store.rowHistory(row.rowId), lines);
      tools.same(await (await tools.reopen()).rowHistory(row.rowId), lines);
      tools.same(await (await tools.reopen()).rowHistory(row.rowId + 1), []);
    },
  },
];
