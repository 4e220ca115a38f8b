import { expect, it } from "vitest";

import { cancelReport } from "../../src/engine/corrections/cancel.ts";
import { limits } from "../../src/engine/limits.ts";
import { verify } from "../../src/engine/books/verify.ts";
import { onBothStores } from "../engine/both-stores.ts";
import { chat, HOUR, MINUTE, START } from "../engine/world.ts";
import { reconcileWorld, type ReconcileWorld } from "./reconcile-world.ts";

const operator = { author: "operator:ann", cause: "wrong customer", dryRun: false };

onBothStores("with the genuine client, a report whose first call failed at Stripe", (make) => {
  /** Stripe took the first try, or did not, and answered 500. */
  async function lost(when: "after" | "before"): Promise<ReconcileWorld> {
    const world = await reconcileWorld({ store: await make() });
    world.stripe.failNext({ kind: "server_error", when, status: 500, times: 1 });
    await world.hour("5");
    world.stripe.clearFaults();
    expect(await world.rows()).toMatchObject([{ state: "pending", attempts: 1 }]);
    return world;
  }

  it.each(["after", "before"] as const)(
    "%s it took effect and whose customer is deleted then, is a person's, not refused usage",
    async (when) => {
      const { store, catalog, stripe, clock, round, reporter, rows, check } = await lost(when);
      stripe.deleteCustomer("cus_acme");
      // Whether Stripe looks at the identifier or the customer first is not written anywhere.
      stripe.forgetIdentifiers();
      clock.advance(limits.retryMaxMs);
      expect(await round(reporter)).toMatchObject({ conflicts: 1, dead: 0 });
      const [row] = await rows("conflict");
      expect(row?.reason).toMatch(/^earlier attempt unknown; now refused: no_such_customer: No such customer/);
      expect(stripe.ledger()).toHaveLength(when === "after" ? 1 : 0);
      // Its books may be closed with it: whatever they answer, it is not decided by itself.
      clock.advance(3 * HOUR);
      await check();
      expect(await rows()).toMatchObject([{ state: "conflict" }]);
      expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { refused: "5" } } });
    },
  );

  it("and that Stripe had already when it was sent again, is cancelled as any other", async () => {
    const { store, catalog, stripe, clock, round, reporter, rows } = await lost("after");
    clock.advance(limits.retryMaxMs);
    await round(reporter);
    const [row] = await rows("accepted");
    expect(stripe.ledger()).toHaveLength(1);
    await cancelReport({ store, report: String(row?.rowId), ...operator, now: clock.now() });
    for (let rounds = 0; rounds < 3; rounds++) await round(reporter);
    expect((await rows()).map(({ kind, state }) => [kind, state])).toEqual([
      ["usage", "accepted"],
      ["cancel", "accepted"],
      ["usage", "accepted"],
    ]);
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("5");
    expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { reported: "5" } } });
  });

  it("is too old to be cancelled by its first try, whenever Stripe said that it had it", async () => {
    const { store, catalog, stripe, clock, round, reporter, rows } = await lost("after");
    const receivedAt = clock.now();
    clock.set(receivedAt + limits.resendSafeMs - MINUTE);
    await round(reporter);
    const [row] = await rows("accepted");
    const order = { store, report: String(row?.rowId), ...operator };
    await cancelReport({ ...order, now: clock.now() });
    clock.set(receivedAt + limits.cancelMs + MINUTE);
    expect(await round(reporter)).toMatchObject({ dead: 1 });
    for (let rounds = 0; rounds < 2; rounds++) await round(reporter);
    expect((await rows())[1]).toMatchObject({ kind: "cancel", reason: expect.stringContaining("too_late") });
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("5");
    expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { reported: "5" } } });
  });
});

onBothStores("two reports that are equal in all that Stripe sees", (make) => {
  it("are cancelled one by one", async () => {
    const world = await reconcileWorld({ store: await make(), companies: ["acme", "globex"] });
    const { store, catalog, stripe, clock, take, round, reporter, rows } = world;
    await take(chat("5"), chat("5", { company: "globex" }));
    clock.set(START + HOUR + 6 * MINUTE);
    const sameCustomer = {
      ...reporter,
      async *customers() {
        for (const company of ["acme", "globex"]) yield { company, customer: "cus_acme", deleted: false };
      },
    };
    for (let rounds = 0; rounds < 2; rounds++) await round(sameCustomer);
    const [first, second] = await rows("accepted");
    expect(second).toMatchObject({ customer: first?.customer, timestamp: first?.timestamp, reported: first?.reported });
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("10");
    await cancelReport({ store, report: String(first?.rowId), ...operator, now: clock.now() });
    await round(sameCustomer);
    expect(stripe.ledger().flatMap(({ identifiers }) => identifiers)).toEqual([second?.identifier]);
    for (let rounds = 0; rounds < 2; rounds++) await round(sameCustomer);
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("10");
    expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { reported: "10" } } });
  });
});
