import { expect, it } from "vitest";

import { isMeterbookError } from "../../../src/core/errors.ts";
import { cancelReport } from "../../../src/engine/corrections/cancel.ts";
import type { OutboxRow, Store } from "../../../src/engine/ports.ts";
import { resolveRow, ROW_ORDERS, type RowOrder } from "../../../src/engine/corrections/row-orders.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { recordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores, type MakeStore } from "../both-stores.ts";
import { catalogOf, chat, DAY, HOUR, MINUTE, START, tokens, world, type World } from "../world.ts";

const catalog = catalogOf(tokens);
const refused = { code: "METER_CORRECTION_REFUSED" };
const unknown = { code: "METER_UNKNOWN_REPORT" };
const operator = { author: "operator:ann", cause: "wrong customer", dryRun: false };

async function reported(make: MakeStore) {
  const own = world({ store: await make(), catalog });
  const reporter = recordingReporter({ customers: { acme: "cus_1", globex: "cus_2" } });
  await own.take(chat("5.5"), chat("2", { company: "globex" }));
  own.clock.advance(2 * HOUR);
  await own.round(reporter);
  const cancel = (report: string, more = {}) =>
    cancelReport({ store: own.store, report, ...operator, now: own.clock.now(), ...more });
  return { ...own, reporter, cancel };
}

async function rowsOf(store: Store, company: string): Promise<readonly OutboxRow[]> {
  return store.outbox({ company, limit: 99 });
}

async function assertWhole({ store }: Pick<World, "store">): Promise<void> {
  expect((await verify(store, catalog)).differences).toEqual([]);
}

onBothStores("a cancelled report", (make) => {
  it("is taken back by the biller, and its usage goes to who pays then", async () => {
    const desk = await reported(make);
    const { store, reporter, round, clock, cancel } = desk;
    const [row] = await rowsOf(store, "acme");
    const done = await cancel(row?.identifier ?? "");
    expect(done).toMatchObject({
      row: { rowId: row?.rowId },
      covered: { before: "5.5", after: "0" },
      sent: { before: "5", after: "0" },
      cancel: { kind: "cancel", cancels: row?.rowId, state: "pending", sequence: 1 },
    });
    await assertWhole(desk);
    reporter.deleteCustomer("cus_1");
    reporter.addCustomer("acme", "cus_9");
    clock.advance(30 * MINUTE);
    await round(reporter);
    await round(reporter);
    expect(reporter.cancels.map(({ record }) => record.identifier)).toEqual([row?.identifier]);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("0");
    expect(reporter.total("chat_tokens", "cus_9")).toBe("5");
    await assertWhole(desk);
    expect((await verify(store, catalog)).meters["chat_tokens"]).toMatchObject({ accepted: "7.5", reported: "7.5" });
    const [first] = await store.rowHistory(done.cancel?.rowId ?? 0);
    expect(first).toMatchObject({ what: "change", author: "operator:ann", reason: "wrong customer" });
    expect((await store.rowHistory(row?.rowId ?? 0)).at(-1)).toMatchObject({ author: "operator:ann" });
    await expect(cancel(String(row?.rowId))).rejects.toMatchObject(refused);
  });

  it("is shown first: a dry run changes nothing, here or at the biller", async () => {
    const { store, round, reporter, cancel } = await reported(make);
    const before = await rowsOf(store, "acme");
    const shown = await cancel(String(before[0]?.rowId), { dryRun: true });
    expect(shown).toMatchObject({ cancel: null, sent: { before: "5", after: "0" } });
    expect(await rowsOf(store, "acme")).toEqual(before);
    await round(reporter);
    expect(reporter.cancels).toEqual([]);
  });

  it("leaves every sum whole when fractions were carried over it, until its window is closed again", async () => {
    const desk = await reported(make);
    const { take, store, round, reporter, clock, cancel } = desk;
    await take(chat("0.6", { time: START + HOUR }));
    clock.advance(HOUR);
    await round(reporter);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("6");
    // Covers 0.6 and says 1: without it, reports say less than they cover by more than a unit.
    const late = (await rowsOf(store, "acme")).find(({ windowStart }) => windowStart === START + HOUR);
    await cancel(String(late?.rowId));
    await assertWhole(desk);
    const [first] = await rowsOf(store, "acme");
    await cancel(String(first?.rowId));
    await assertWhole(desk);
    for (let rounds = 0; rounds < 3; rounds++) await round(reporter);
    await assertWhole(desk);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("6");
  });

  it("must be at the biller, young, known and adding up", async () => {
    const { store, take, clock, round, reporter, cancel } = await reported(make);
    await expect(cancel("mb1_nothing")).rejects.toMatchObject(unknown);
    await expect(cancel("999")).rejects.toMatchObject(unknown);
    const [row] = await rowsOf(store, "acme");
    await take(chat("1", { company: "nobody" }), chat("0.1", { company: "initech" }));
    reporter.addCustomer("initech", "cus_3");
    await round(reporter);
    for (const company of ["nobody", "initech"]) {
      const [other] = await rowsOf(store, company);
      await expect(cancel(String(other?.rowId))).rejects.toMatchObject(refused);
    }
    clock.advance(DAY);
    await expect(cancel(String(row?.rowId))).rejects.toMatchObject(refused);
    const set: Store = {
      ...store,
      outbox: async (query) => (await store.outbox(query)).map((each) => ({ ...each, mode: "set" })),
    };
    await expect(cancel(String(row?.rowId), { store: set, now: START + 3 * HOUR })).rejects.toMatchObject(refused);
  });
});

/** A row in the state that a test needs. */
async function rowIn(make: MakeStore, state: "conflict" | "dead" | "held" | "accepted") {
  const own = world({ store: await make(), catalog });
  const reporter = recordingReporter({ customers: state === "held" ? {} : { acme: "cus_1" } });
  await own.take(chat("5"));
  own.clock.advance(2 * HOUR);
  const answer = { kind: "dead", reason: "no such thing", requestId: null } as const;
  if (state === "dead") reporter.answerNext({ counts: false, answer });
  await own.round(reporter);
  const [row] = await rowsOf(own.store, "acme");
  if (row === undefined) throw new Error("expected a row");
  if (state === "conflict")
    await own.store.changeRow({ rowId: row.rowId, from: "accepted", to: "conflict", reason: "x", author: "t" }, START);
  const resolve = (as: RowOrder, more = {}) =>
    resolveRow({ store: own.store, rowId: row.rowId, as, ...operator, now: own.clock.now(), ...more });
  const now = async () => (await own.store.outbox({ rowId: row.rowId, limit: 1 }))[0];
  return { ...own, reporter, resolve, now, row };
}

function refusalOf(error: unknown): unknown {
  return error;
}

/** How an order is refused of a row in that state: message and remedy. */
async function refusedAs(
  make: MakeStore,
  state: "conflict" | "dead" | "held" | "accepted",
  as: RowOrder,
): Promise<readonly string[]> {
  const { resolve } = await rowIn(make, state);
  const error = await resolve(as).catch(refusalOf);
  if (!isMeterbookError(error)) throw new Error("expected a refusal");
  return [error.message, error.remedy ?? ""];
}

onBothStores("an operator's word about a row", (make) => {
  it("is possible only where nobody else can decide, and kept with who and why", async () => {
    const possible: Readonly<Record<string, Partial<Record<RowOrder, string>>>> = {
      conflict: { delivered: "accepted", resend: "pending", "write-off": "dead" },
      dead: { resend: "pending" },
      held: { "write-off": "dead" },
      accepted: {},
    };
    for (const state of ["conflict", "dead", "held", "accepted"] as const) {
      // A readdressed report changes twice: test/stripe/readdress.test.ts.
      for (const as of ROW_ORDERS.filter((order) => order !== "readdress")) {
        const desk = await rowIn(make, state);
        const to = possible[state]?.[as];
        const dry = await desk.resolve(as, { dryRun: true }).catch(refusalOf);
        expect(dry).toMatchObject(to === undefined ? refused : { to, applied: false });
        expect((await desk.now())?.state).toBe(state);
        const done = await desk.resolve(as).catch(refusalOf);
        expect(done).toMatchObject(to === undefined ? refused : { to, applied: true });
        expect((await desk.now())?.state).toBe(to ?? state);
        const said = (await desk.store.rowHistory(desk.row.rowId)).filter(({ author }) => author === "operator:ann");
        const lines = said.map((line) => [line.what, line.to, line.reason]);
        expect(lines).toEqual(to === undefined ? [] : [["change", to, `${as}: wrong customer`]]);
        await assertWhole(desk);
      }
    }
  });

  it("sends what was refused once more, under the same identifier and another key", async () => {
    const { resolve, round, reporter, now, row } = await rowIn(make, "dead");
    await resolve("resend");
    await round(reporter);
    expect((await now())?.state).toBe("accepted");
    expect(reporter.total("chat_tokens", "cus_1")).toBe("5");
    const [first, second] = reporter.calls;
    expect([first?.record.identifier, second?.record.identifier]).toEqual([row.identifier, row.identifier]);
    expect(second?.idempotencyKey).not.toBe(first?.idempotencyKey);
  });

  it("carries late usage onto the present invoice", async () => {
    const own = world({ store: await make(), catalog });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    const lane = { customer: "cus_1", reportAs: "chat_tokens", renews: true };
    reporter.setPeriods([{ ...lane, from: START - DAY, to: START + DAY }]);
    await own.take(chat("5"));
    own.clock.advance(2 * HOUR);
    await own.round(reporter);
    own.clock.advance(3 * DAY);
    reporter.setPeriods([{ ...lane, from: START + DAY, to: START + 30 * DAY }]);
    await own.take(chat("7"));
    await own.round(reporter);
    const [held] = await own.store.outbox({ state: "held", limit: 9 });
    expect(held).toMatchObject({ reason: "late_usage", raw: 7_000_000_000_000n });
    const rowId = held?.rowId ?? 0;
    const order = { store: own.store, rowId, as: "carry", ...operator } as const;
    expect(await resolveRow({ ...order, now: own.clock.now() })).toMatchObject({ to: "held", applied: true });
    await own.round(reporter);
    const [carried] = await own.store.outbox({ rowId, limit: 1 });
    expect(carried).toMatchObject({ state: "accepted", late: "carry" });
    expect(carried?.timestamp).toBeGreaterThanOrEqual(START + DAY);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("12");
    await assertWhole(own);
  });

  it("says so when there is no such row, or it moved meanwhile", async () => {
    const { store, resolve, row } = await rowIn(make, "conflict");
    await expect(resolve("delivered", { rowId: 99 })).rejects.toMatchObject(unknown);
    const moved: Store = {
      ...store,
      changeRow: async (change, at) => {
        await resolve("write-off");
        return store.changeRow(change, at);
      },
    };
    await expect(resolve("delivered", { store: moved })).rejects.toMatchObject(refused);
    expect((await store.outbox({ rowId: row.rowId, limit: 1 }))[0]?.state).toBe("dead");
  });

  it("that does not fit is refused in plain words, with what can be said in that state", async () => {
    expect(await refusedAs(make, "accepted", "resend")).toEqual([
      "resend does not fit report 1: it is accepted.",
      "It is done, and nothing is to be decided; `meterbook correct cancel` takes back what Stripe got within a day.",
    ]);
    expect(await refusedAs(make, "dead", "delivered")).toEqual([
      "delivered does not fit report 1: it is dead (no such thing).",
      "Of this report can be said: resend (it goes out once more), readdress (its usage goes to the customer that its company has now).",
    ]);
    expect((await refusedAs(make, "held", "resend"))[1]).toBe(
      "Of this report can be said: write-off (nobody is billed for it).",
    );
    expect((await refusedAs(make, "conflict", "carry"))[1]).toContain("delivered (Stripe has it), resend (");
  });
});
