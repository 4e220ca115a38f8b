import { expect, it } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import { onBothStores } from "../engine/both-stores.ts";
import { chat, DAY, HOUR, MINUTE, START } from "../engine/world.ts";
import { reconcileWorld, type ReconcileWorld } from "./reconcile-world.ts";

/** Customers whose books were read, in order. */
function readCustomers({ stripe }: ReconcileWorld): string[] {
  return stripe.requests
    .filter(({ path }) => path.includes("event_summaries"))
    .map(({ form }) => new URLSearchParams(form).get("customer")?.slice("cus_".length) ?? "");
}

const COMPANIES = ["a", "b", "c", "d", "e"];

async function fiveCompanies(world: ReconcileWorld): Promise<void> {
  const { take, clock, round, reporter } = world;
  await take(...COMPANIES.map((company) => chat("5", { company })));
  clock.advance(HOUR + 6 * MINUTE);
  await round(reporter);
  clock.advance(2 * HOUR);
}

onBothStores("lanes", (make) => {
  it("that a day's readings do not reach go first the next day, so that all have their turn", async () => {
    const world = await reconcileWorld({ store: await make(), companies: COMPANIES });
    await fiveCompanies(world);
    const { check, clock, rows } = world;
    const today = { lanes: "due", readsPerDay: 2 } as const;
    expect(await check(today)).toMatchObject({ lanes: 2, left: 3, reads: 2 });
    clock.advance(limits.reconcileLookMs);
    expect(await check(today)).toMatchObject({ lanes: 0, left: 3, reads: 0 });
    for (let day = 0; day < 2; day++) {
      clock.advance(DAY);
      await check(today);
    }
    expect(readCustomers(world).slice(0, 5).toSorted()).toEqual(COMPANIES);
    expect(await rows("settled")).toHaveLength(5);
    clock.advance(DAY);
    await check(today);
    expect(readCustomers(world).slice(5, 7).toSorted()).toEqual(readCustomers(world).slice(0, 2).toSorted());
  });

  it("are compared once a day, and looked for every few minutes", async () => {
    const world = await reconcileWorld({ store: await make() });
    const { hour, check, clock } = world;
    await hour("5");
    clock.advance(2 * HOUR);
    expect(await check({ lanes: "due" })).toMatchObject({ lanes: 1, reads: 1 });
    await expect(check({ lanes: "due" })).rejects.toThrow("a moment ago");
    clock.advance(limits.reconcileLookMs);
    expect(await check({ lanes: "due" })).toMatchObject({ lanes: 0, reads: 0 });
    clock.advance(DAY - limits.reconcileLookMs - 1);
    expect(await check({ lanes: "due" })).toMatchObject({ lanes: 0 });
    clock.advance(limits.reconcileLookMs);
    expect(await check({ lanes: "due" })).toMatchObject({ lanes: 1, reads: 1 });
  });

  it("are compared once more before an invoice of theirs is final", async () => {
    const { hour, check, clock, store } = await reconcileWorld({ store: await make() });
    await hour("5");
    clock.advance(2 * HOUR);
    await check({ lanes: "due" });
    const to = clock.now() + HOUR;
    await store.putPeriods([{ customer: "cus_acme", reportAs: "chat_tokens", from: START - DAY, to, renews: true }]);
    const finalAt = to + HOUR;
    clock.advance(finalAt - limits.reconcileBeforeFinalMs - 1 - clock.now());
    expect(await check({ lanes: "due" })).toMatchObject({ lanes: 0 });
    clock.advance(limits.reconcileLookMs);
    expect(await check({ lanes: "due" })).toMatchObject({ lanes: 1, reads: 1 });
    clock.advance(limits.reconcileLookMs);
    expect(await check({ lanes: "due" })).toMatchObject({ lanes: 0 });
  });

  it("with something missing are read again soon, less and less often", async () => {
    const { hour, check, clock, stripe } = await reconcileWorld({ store: await make() });
    stripe.failNext({ kind: "reject_later", code: "meter_event_customer_not_found" });
    await hour("5");
    clock.advance(2 * HOUR);
    const at = clock.now();
    const readAfter: number[] = [];
    for (let minutes = 0; minutes <= 180; minutes += 5) {
      if ((await check({ lanes: "due" })).lanes > 0) readAfter.push((clock.now() - at) / MINUTE);
      clock.advance(5 * MINUTE);
    }
    expect(readAfter).toEqual([0, 10, 20, 40, 80, 160]);
  });

  it("that cannot be read, such as a deleted customer's, do not keep the others", async () => {
    const world = await reconcileWorld({ store: await make(), companies: COMPANIES });
    await fiveCompanies(world);
    const { check, stripe, rows, clock, notices } = world;
    // One lane gets no answer while the others do.
    stripe.failNext({ kind: "server_error", when: "before", on: "meter_event_summary.list" });
    expect(await check({ lanes: "due" })).toMatchObject({ lanes: 4, left: 1, stopped: expect.stringContaining("500") });
    expect(await rows("settled")).toHaveLength(4);
    clock.advance(limits.reconcileLookMs);
    expect(await check({ lanes: "due" })).toMatchObject({ lanes: 0, left: 0 });
    clock.advance(DAY);
    await check({ lanes: "due" });
    expect(await rows("settled")).toHaveLength(5);
    expect(notices).toHaveLength(1);
  });

  it.each([
    ["is down", { kind: "server_error", when: "before" }, 3],
    ["refuses the key", { kind: "forbidden" }, 1],
  ] as const)("wait while Stripe %s, which is told once", async (_how, fault, calls) => {
    const world = await reconcileWorld({ store: await make(), companies: COMPANIES });
    await fiveCompanies(world);
    const { check, stripe, rows, clock, notices } = world;
    stripe.failNext({ ...fault, on: "meter_event_summary.list", times: 2 * calls });
    for (let looks = 0; looks < 2; looks++) {
      expect(await check({ lanes: "due" })).toMatchObject({ lanes: 0, left: 5, stopped: expect.any(String) });
      clock.advance(limits.reconcileLookMs);
    }
    expect(notices).toMatchObject([{ code: "METER_STRIPE_UNREACHABLE" }]);
    expect(await check({ lanes: "due" })).toMatchObject({ lanes: 5, left: 0, stopped: null });
    expect(await rows("settled")).toHaveLength(5);
  });

  it("of another account are never compared", async () => {
    const world = await reconcileWorld({ store: await make() });
    const { hour, check, clock, reporter, rows } = world;
    await hour("5");
    clock.advance(2 * HOUR);
    const other = { ...reporter, account: async () => "acct_other/test" };
    expect(await check({ reporter: other })).toMatchObject({
      lanes: 0,
      left: 1,
      stopped: expect.stringContaining("acct_other"),
    });
    expect(await rows("settled")).toEqual([]);
  });

  it("end at once when another node took the lease", async () => {
    const world = await reconcileWorld({ store: await make(), companies: COMPANIES });
    await fiveCompanies(world);
    let left = 2;
    const summary = await world.check({ keepLease: async () => left-- > 0 });
    expect(summary).toMatchObject({ lanes: 2, left: 3, stopped: "another process reports now" });
  });
});
