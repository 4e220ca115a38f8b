import { expect, it } from "vitest";

import { recordOf } from "../../src/engine/delivery/delivery.ts";
import { limits } from "../../src/engine/limits.ts";
import { readStatus } from "../../src/engine/books/status.ts";
import { verify } from "../../src/engine/books/verify.ts";
import { onBothStores } from "../engine/both-stores.ts";
import { chat, DAY, HOUR, MINUTE, START } from "../engine/world.ts";
import { reconcileWorld, shortly } from "./reconcile-world.ts";

const fail = (): never => {
  throw new Error("there is none");
};
const AGAIN = limits.reconcileAgainMs;

onBothStores("comparing with Stripe's books", (make) => {
  it("settles what they show, with one reading, and judges nothing that is younger than two hours", async () => {
    const { hour, check, clock, store, catalog, stripe, rows } = await reconcileWorld({ store: await make() });
    for (const used of ["5", "7"]) await hour(used);
    expect(await check()).toMatchObject({ lanes: 1, reads: 0, settled: 0, drifts: [] });
    await hour("0.4");
    clock.advance(2 * HOUR);
    expect(await check()).toMatchObject({ lanes: 1, left: 0, reads: 1, settled: 2, drifts: [], changes: [] });
    // The third was nothing to send.
    expect((await rows()).map(({ state, reason }) => [state, reason])).toEqual([
      ["settled", null],
      ["settled", null],
      ["accepted", "nothing to send"],
    ]);
    expect(await check()).toMatchObject({ settled: 0, drifts: [] });
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("12");
  });

  it("waits while they are behind, and sends nothing again without a later report that they show", async () => {
    const world = await reconcileWorld({ store: await make(), stripe: { summaryLagMs: 4 * HOUR } });
    const { hour, check, clock, stripe, rows, notices, store } = world;
    await hour("5");
    clock.advance(2 * HOUR);
    expect(shortly((await check()).drifts)).toEqual(["missing +0/1 5:0 1"]);
    for (let tries = 0; tries < 3; tries++) {
      clock.advance(AGAIN);
      expect(await check()).toMatchObject({ changes: [], settled: 0 });
    }
    expect(notices.filter(({ code }) => code === "METER_STRIPE_DRIFT")).toHaveLength(1);
    expect(await readStatus(store, { backlogBytes: 0, now: clock.now() })).toMatchObject({
      drift: { lanes: 1, differences: 1, missing: 1, surplus: 0, inexact: 0 },
    });
    clock.advance(3 * HOUR);
    expect(await check()).toMatchObject({ settled: 1, drifts: [] });
    expect(await rows("settled")).toHaveLength(1);
    expect(stripe.ledger()).toHaveLength(1);
    expect(await readStatus(store, { backlogBytes: 0, now: clock.now() })).toMatchObject({ drift: { lanes: 0 } });
  });

  it("sends again what Stripe took and lost, at the second reading, under its own identifier and a fresh key", async () => {
    const { hour, check, clock, stripe, rows, round, reporter, store, catalog } = await reconcileWorld({
      store: await make(),
    });
    stripe.failNext({ kind: "reject_later", code: "meter_event_customer_not_found" });
    await hour("5");
    await hour("7");
    clock.advance(2 * HOUR);
    const first = await check();
    expect([shortly(first.drifts), first.changes, first.settled]).toEqual([["missing +0/1 5:0 1"], [], 1]);
    clock.advance(AGAIN - 1);
    expect(await check()).toMatchObject({ changes: [] });
    clock.advance(1);
    expect(await check()).toMatchObject({ changes: [{ to: "pending", resend: true, author: "reconcile" }] });
    // What was never counted is not remembered either.
    stripe.forgetIdentifiers();
    await round(reporter);
    const [row] = await rows("accepted");
    expect(row).toMatchObject({ attempts: 2, resentAt: expect.any(Number) });
    const sent = stripe.requests.filter(({ path }) => path.endsWith("meter_events"));
    const identifiers = sent.map(({ form }) => new URLSearchParams(form).get("identifier"));
    expect([identifiers[0], new Set(sent.map(({ idempotencyKey }) => idempotencyKey)).size]).toEqual([
      identifiers[2],
      3,
    ]);
    clock.advance(2 * HOUR);
    expect(await check()).toMatchObject({ settled: 1, drifts: [] });
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("12");
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it("has what is older than the safe interval read back before it goes out again", async () => {
    const { hour, check, clock, stripe, rows, round, reporter } = await reconcileWorld({ store: await make() });
    stripe.failNext({ kind: "reject_later", code: "meter_event_customer_not_found" });
    await hour("5");
    clock.advance(30 * HOUR);
    await hour("7");
    clock.advance(2 * HOUR);
    await check();
    clock.advance(AGAIN);
    const { changes } = await check();
    expect(changes).toMatchObject([{ to: "pending" }]);
    expect(changes[0]?.resend).toBeUndefined();
    const readings = (): number => stripe.requests.filter(({ path }) => path.includes("event_summaries")).length;
    const before = readings();
    for (let tries = 0; tries < 6; tries++) {
      await round(reporter);
      clock.advance(AGAIN);
    }
    expect(readings()).toBeGreaterThan(before);
    clock.advance(2 * HOUR);
    expect(await check()).toMatchObject({ drifts: [] });
    expect(await rows("settled")).toHaveLength(2);
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("12");
  });

  it("leaves to a person what is missing after it was sent again, and does not ask twice", async () => {
    const { hour, check, clock, stripe, rows, round, reporter, store } = await reconcileWorld({ store: await make() });
    stripe.failNext({ kind: "reject_later", code: "meter_event_customer_not_found" });
    await hour("5");
    await hour("7");
    stripe.failNext({ kind: "reject_later", code: "meter_event_customer_not_found", times: 9 });
    for (let readings = 0; readings < 2; readings++) {
      clock.advance(2 * HOUR);
      await check();
      clock.advance(AGAIN);
      await check();
      await round(reporter);
    }
    const [row] = await rows("conflict");
    expect(row).toMatchObject({ reason: expect.stringContaining("after it was sent again") });
    if (row === undefined) return;
    // An operator's word stands, whatever the books say; the difference stays to be seen.
    await store.changeRow(
      {
        rowId: row.rowId,
        from: "conflict",
        to: "accepted",
        reason: "delivered: invoice shows it",
        author: "operator:ann",
      },
      clock.now(),
    );
    clock.advance(2 * HOUR);
    await check();
    clock.advance(AGAIN);
    expect(await check()).toMatchObject({ changes: [], drifts: [{ verdict: "missing" }] });
  });

  it("leaves to a person what is missing on an invoice that is final", async () => {
    const { hour, check, clock, stripe, rows, store } = await reconcileWorld({ store: await make() });
    stripe.failNext({ kind: "reject_later", code: "meter_event_customer_not_found" });
    await hour("5");
    const lane = { customer: "cus_acme", reportAs: "chat_tokens" };
    await store.putPeriods([{ ...lane, from: START - 30 * DAY, to: START + HOUR, renews: true }]);
    clock.advance(3 * HOUR);
    await check();
    clock.advance(AGAIN);
    expect(await check()).toMatchObject({ changes: [{ to: "conflict", reason: expect.stringContaining("final") }] });
    expect(await rows("conflict")).toHaveLength(1);
  });

  it("shows what was in the books once and is gone, and leaves it to a person", async () => {
    const { hour, check, clock, rows, reporter } = await reconcileWorld({ store: await make() });
    await hour("5");
    await hour("7");
    clock.advance(2 * HOUR);
    expect(await check()).toMatchObject({ settled: 2 });
    const record = recordOf((await rows("settled"))[0] ?? fail());
    await reporter.cancel(record ?? fail(), "somebody.0");
    for (let readings = 0; readings < 3; readings++) {
      expect(await check()).toMatchObject({
        drifts: [{ verdict: "missing", rowIds: [expect.any(Number)] }],
        changes: [],
      });
      clock.advance(AGAIN);
    }
    expect(await rows("settled")).toHaveLength(2);
  });

  it("names the row in whose minute the difference lies, and what somebody else wrote beside it", async () => {
    const { hour, take, check, clock, write, round, reporter, rows } = await reconcileWorld({ store: await make() });
    await hour("5");
    // A correction of the same hour has a minute of its own.
    await take(chat("7", { time: START + 30 * MINUTE }));
    await round(reporter);
    await write("100", START + MINUTE);
    await write("40", START + 30 * MINUTE);
    await hour("9");
    clock.advance(2 * HOUR);
    const { drifts, reads, changes, settled } = await check();
    const second = (await rows()).find(({ sequence }) => sequence === 1);
    expect(shortly(drifts)).toEqual(["surplus +0/60 5:45 0", "surplus +1/1 7:107 1"]);
    expect([drifts[1]?.rowIds, reads, changes, settled]).toEqual([[second?.rowId], 3, [], 2]);
    clock.advance(AGAIN);
    expect(await check()).toMatchObject({ changes: [] });
  });

  it("settles sums that a double cannot tell apart, and flags them", async () => {
    const { take, check, clock, round, reporter, stripe, notices } = await reconcileWorld({ store: await make() });
    const used = Array.from({ length: 9 }, () => "999999999999999");
    clock.advance(HOUR + 6 * MINUTE);
    for (const value of [...used, "7199254741002"]) {
      await take(chat(value));
      await round(reporter);
    }
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("9007199254740993");
    clock.advance(2 * HOUR);
    const { drifts, settled } = await check();
    expect([shortly(drifts), settled]).toEqual([["inexact +0/60 9007199254740993:9007199254740992 0"], 10]);
    expect(notices).toEqual([]);
  });

  it("changes nothing when it only looks", async () => {
    const { hour, check, clock, write, store, rows, notices } = await reconcileWorld({ store: await make() });
    await hour("5");
    await hour("6");
    await write("1", START);
    clock.advance(2 * HOUR);
    for (let readings = 0; readings < 2; readings++) {
      expect(await check({ readOnly: true })).toMatchObject({ settled: 1, drifts: [{ verdict: "surplus" }] });
      clock.advance(AGAIN);
    }
    expect([await store.drifts(), await store.reconciliations(), await rows("settled"), notices]).toEqual([
      [],
      [],
      [],
      [],
    ]);
  });
});
