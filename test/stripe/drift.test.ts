import { expect, it } from "vitest";

import { cancelReport } from "../../src/engine/corrections/cancel.ts";
import type { Drift } from "../../src/engine/ports.ts";
import { verify } from "../../src/engine/books/verify.ts";
import { onBothStores } from "../engine/both-stores.ts";
import { chat, DAY, decimal, HOUR, hourly, MINUTE, START } from "../engine/world.ts";
import { reconcileWorld, shortly, type ReconcileWorld, type ReconcileWorldOptions } from "./reconcile-world.ts";

/** Two hours of usage, reported, and what somebody else wrote; long enough ago to be judged. */
async function withSurplus(
  options: ReconcileWorldOptions,
  ...writes: readonly (readonly [value: string, minute: number])[]
): Promise<{ readonly world: ReconcileWorld; readonly drift: Drift }> {
  const world = await reconcileWorld(options);
  await world.hour("5");
  await world.hour("7");
  for (const [value, minute] of writes) await world.write(value, START + minute * MINUTE);
  world.clock.advance(2 * HOUR);
  const [drift] = (await world.check()).drifts;
  if (drift === undefined) throw new Error("no difference");
  return { world, drift };
}

onBothStores("a surplus", (make) => {
  it.each([
    ["beside our reports", 30, "surplus +0/60 5:105 0"],
    ["in a report's own minute", 0, "surplus +0/1 5:105 1"],
  ])("%s is corrected by a negative report, on an operator's word only, once", async (_where, minute, text) => {
    const { world, drift } = await withSurplus({ store: await make() }, ["100", minute]);
    const { check, confirm, round, reporter, stripe, clock, rows, store, catalog } = world;
    expect(shortly([drift])).toEqual([text]);
    expect(await confirm(drift, { dryRun: true })).toMatchObject({ by: "adjust", row: null });
    expect(await rows()).toHaveLength(2);
    const { row } = await confirm(drift);
    expect(row).toMatchObject({ kind: "adjust", state: "pending", company: "acme", sequence: 1 });
    await expect(confirm(drift)).rejects.toMatchObject({
      code: "METER_CORRECTION_REFUSED",
      message: expect.stringContaining("already"),
    });
    stripe.setLags({ summaryLagMs: HOUR });
    await round(reporter);
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("12");
    // Until the books can be believed the difference stays to be seen, and cannot be corrected twice.
    expect(shortly((await check()).drifts)).toEqual([text]);
    await expect(confirm(drift)).rejects.toMatchObject({ code: "METER_CORRECTION_REFUSED" });
    clock.advance(2 * HOUR);
    expect(await check()).toMatchObject({ drifts: [] });
    expect(await rows("settled")).toHaveLength(3);
    expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { reported: "12" } } });
    expect(await store.rowHistory(row?.rowId ?? 0)).toContainEqual(
      expect.objectContaining({ author: "operator:ann", reason: "written by hand" }),
    );
  });

  it("that is a report's double of less than a day is cancelled, and its usage reported again", async () => {
    const world = await reconcileWorld({ store: await make() });
    const { hour, check, confirm, round, reporter, stripe, clock, rows, write, store, catalog } = world;
    await hour("5");
    const [row] = await rows("accepted");
    stripe.forgetIdentifiers();
    await write("5", START, row?.identifier ?? "");
    await hour("7");
    clock.advance(2 * HOUR);
    const [drift] = (await check()).drifts;
    if (drift === undefined) throw new Error("no difference");
    expect(shortly([drift])).toEqual(["surplus +0/1 5:10 1"]);
    expect(await confirm(drift)).toMatchObject({ by: "cancel", row: { kind: "cancel", cancels: row?.rowId } });
    await round(reporter);
    await round(reporter);
    clock.advance(2 * HOUR);
    // Stripe took one of the two back, so the other is nobody's: that is corrected by its own word.
    const after = await check();
    for (const left of after.drifts) await confirm(left, { cause: "the other one" });
    await round(reporter);
    clock.advance(2 * HOUR);
    expect(await check()).toMatchObject({ drifts: [] });
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("12");
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      meters: { chat_tokens: { accepted: "12", reported: "12" } },
    });
  });

  it("that is a double of more than a day is corrected by a negative report", async () => {
    const { world, drift } = await withSurplus({ store: await make() }, ["5", 0]);
    world.clock.advance(DAY);
    expect(await world.confirm(drift)).toMatchObject({ by: "adjust", row: { timestamp: START } });
  });

  it.each(["missing", "inexact"] as const)("is not what is %s", async (verdict) => {
    const { world, drift } = await withSurplus({ store: await make() }, ["100", 30]);
    await expect(world.confirm({ ...drift, verdict })).rejects.toMatchObject({ code: "METER_CORRECTION_REFUSED" });
  });

  it("on a final invoice, or older than Stripe takes, is not corrected here", async () => {
    const { world, drift } = await withSurplus({ store: await make() }, ["100", 30]);
    const { confirm, store, clock, rows } = world;
    const lane = { customer: "cus_acme", reportAs: "chat_tokens" };
    await store.putPeriods([{ ...lane, from: START - DAY, to: START + HOUR, renews: true }]);
    await expect(confirm(drift)).rejects.toMatchObject({ message: expect.stringContaining("credit") });
    clock.advance(40 * DAY);
    await expect(confirm(drift)).rejects.toMatchObject({ message: expect.stringContaining("35 days") });
    expect(await rows()).toHaveLength(2);
  });
});

onBothStores("what counts as ours", (make) => {
  it("is not what was cancelled, nor its cancelling", async () => {
    const { hour, check, clock, round, reporter, rows, store, stripe } = await reconcileWorld({ store: await make() });
    await hour("5");
    const [row] = await rows("accepted");
    await cancelReport({
      store,
      report: String(row?.rowId),
      author: "operator:ann",
      cause: "wrong",
      now: clock.now(),
      dryRun: false,
    });
    await round(reporter);
    await round(reporter);
    await hour("7");
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("12");
    clock.advance(2 * HOUR);
    expect(await check()).toMatchObject({ drifts: [], changes: [] });
    expect((await rows("settled")).map(({ kind }) => kind).toSorted()).toEqual(["cancel", "usage", "usage"]);
    clock.advance(DAY);
    expect(await check()).toMatchObject({ drifts: [], settled: 0 });
  });

  it("is not what was in shadow", async () => {
    const { hour, check, clock, rows, take, round, reporter } = await reconcileWorld({ store: await make() });
    await take(chat("5"));
    clock.advance(HOUR + 6 * MINUTE);
    await round(reporter, { settings: { ...hourly, shadow: true } });
    expect(await rows("accepted")).toMatchObject([{ reason: "shadow" }]);
    clock.advance(HOUR);
    await round(reporter);
    clock.advance(HOUR);
    await hour("7");
    clock.advance(2 * HOUR);
    expect(await check()).toMatchObject({ drifts: [], settled: 1 });
  });

  it("is perhaps what has no answer: nothing is said of its minute, whether it is there or not", async () => {
    const { hour, check, clock, stripe, rows, take, round, reporter, write } = await reconcileWorld({
      store: await make(),
    });
    await hour("3");
    clock.advance(-HOUR);
    await take(chat("5", { time: START + MINUTE }));
    stripe.failNext({ kind: "reset", when: "after", times: 2 });
    clock.advance(HOUR);
    await round(reporter);
    expect(await rows("pending")).toHaveLength(1);
    await hour("9");
    stripe.failNext({ kind: "server_error", when: "before", times: 99 });
    clock.advance(2 * HOUR);
    expect(await check()).toMatchObject({ drifts: [] });
    stripe.clearFaults();
    await write("1", START + 40 * MINUTE);
    const { drifts } = await check();
    expect(drifts.map(({ ours, theirs, rowIds }) => [theirs - ours, rowIds])).toEqual([[decimal("1"), []]]);
  });
});

onBothStores("a meter that keeps the last report of each hour", (make) => {
  const kept = async (): Promise<ReconcileWorld> => reconcileWorld({ store: await make(), keeps: "hour" });

  it("agrees when that is the last of ours; earlier ones are settled with it", async () => {
    const { hour, take, round, reporter, check, clock, stripe, rows } = await kept();
    await hour("10");
    await take(chat("15", { time: START + MINUTE }));
    await round(reporter);
    expect((await rows()).map(({ mode }) => mode)).toEqual(["set", "set"]);
    clock.advance(2 * HOUR);
    expect(await check()).toMatchObject({ drifts: [], settled: 2, reads: 1 });
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("25");
  });

  it("gets its last total again when an older one arrived after it", async () => {
    const { hour, take, round, reporter, check, clock, stripe, write, confirm } = await kept();
    await hour("10");
    await take(chat("15", { time: START + MINUTE }));
    await round(reporter);
    await hour("4");
    await write("10", START);
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("14");
    clock.advance(2 * HOUR);
    expect(shortly((await check()).drifts)).toEqual(["missing +0/60 25:10 1"]);
    clock.advance(10 * MINUTE);
    expect(await check()).toMatchObject({ changes: [{ to: "pending", resend: true }] });
    stripe.forgetIdentifiers();
    await round(reporter);
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("29");
    // A greater one of somebody else is replaced on an operator's word.
    await write("99", START);
    clock.advance(2 * HOUR);
    const [drift] = (await check()).drifts;
    if (drift === undefined) throw new Error("no difference");
    expect(shortly([drift])).toEqual(["surplus +0/60 25:99 1"]);
    expect(await confirm(drift)).toMatchObject({ by: "resend" });
    stripe.forgetIdentifiers();
    await round(reporter);
    clock.advance(2 * HOUR);
    expect(await check()).toMatchObject({ drifts: [] });
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("29");
  });

  it("gets no older total while a newer one is on its way", async () => {
    const { hour, take, round, reporter, check, clock, stripe, write, rows } = await kept();
    await hour("10");
    await hour("4");
    await write("3", START);
    clock.advance(2 * HOUR);
    expect(shortly((await check()).drifts)).toEqual(["missing +0/60 10:3 1"]);
    await take(chat("15", { time: START + MINUTE }));
    stripe.failNext({ kind: "server_error", when: "before", times: 9 });
    await round(reporter);
    clock.advance(10 * MINUTE);
    expect(await check()).toMatchObject({ changes: [] });
    stripe.clearFaults();
    await round(reporter);
    expect((await rows()).map(({ state }) => state)).toEqual(["accepted", "accepted", "settled"].toSorted());
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("29");
  });

  it("is not compared with the books of another meter that took its name", async () => {
    const { hour, check, clock, reporter, rows } = await kept();
    await hour("10");
    clock.advance(2 * HOUR);
    const other = { ...reporter, meter: async () => ({ kind: "ready", keepsLast: null }) as const };
    expect(await check({ reporter: other })).toMatchObject({ lanes: 0, left: 1, reads: 0, drifts: [] });
    expect(await rows("settled")).toEqual([]);
  });
});
