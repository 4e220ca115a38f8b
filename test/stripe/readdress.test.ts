import { expect, it } from "vitest";

import { resolveRow, type ResolvedRow, type RowOrder } from "../../src/engine/corrections/row-orders.ts";
import { limits } from "../../src/engine/limits.ts";
import type { OutboxRow, Store } from "../../src/engine/ports.ts";
import { verify, type MeterSums } from "../../src/engine/books/verify.ts";
import { onBothStores } from "../engine/both-stores.ts";
import { chat, HOUR, MINUTE, START } from "../engine/world.ts";
import { reconcileWorld, type ReconcileWorld } from "./reconcile-world.ts";

const refused = { code: "METER_CORRECTION_REFUSED" };

interface Desk extends ReconcileWorld {
  readonly say: (as: RowOrder, rowId?: number, store?: Store) => Promise<ResolvedRow>;
  readonly row: (rowId: number) => Promise<OutboxRow | undefined>;
  readonly sums: () => Promise<MeterSums | undefined>;
  /** The company gets another customer, and everybody knows it. */
  readonly move: () => Promise<void>;
}

onBothStores("a refused report whose company has another customer since", (make) => {
  async function desk(): Promise<Desk> {
    const world = await reconcileWorld({ store: await make() });
    const { store, catalog, clock, stripe, round, reporter } = world;
    return {
      ...world,
      say: (as, rowId = 1, over = store) =>
        resolveRow({ store: over, rowId, as, author: "operator:ann", cause: "moved", now: clock.now(), dryRun: false }),
      row: async (rowId) => (await store.outbox({ rowId, limit: 1 }))[0],
      sums: async () => {
        const verification = await verify(store, catalog);
        expect(verification.differences).toEqual([]);
        return verification.meters["chat_tokens"];
      },
      move: async () => {
        stripe.createCustomer({ id: "cus_new", metadata: { company_id: "acme" } });
        clock.advance(limits.customerListEveryMs);
        await round(reporter);
      },
    };
  }

  /** Addressed to a customer that is gone when it is sent. */
  async function dead(): Promise<Desk> {
    const own = await desk();
    await own.hour("1");
    await own.take(chat("5.5", { time: own.clock.now() }));
    own.clock.set(START + 2 * HOUR + 6 * MINUTE);
    await own.round({
      ...own.reporter,
      report: (record, key) => {
        own.stripe.deleteCustomer("cus_acme");
        return own.reporter.report(record, key);
      },
    });
    expect(await own.row(2)).toMatchObject({ state: "dead", reason: expect.stringContaining("no_such_customer") });
    await own.move();
    return own;
  }

  it("is billed there, once, and the refused report stays as it was", async () => {
    const { say, sums, row, round, reporter, stripe, store, clock } = await dead();
    const before = await row(2);
    expect(await sums()).toMatchObject({ accepted: "6.5", reported: "1", refused: "5.5" });
    expect(await say("readdress", 2)).toMatchObject({ to: "dead", applied: true, anew: { state: "held", rowId: 4 } });
    expect(await sums()).toMatchObject({ accepted: "6.5", reported: "1", held: "5.5", refused: "0" });
    clock.advance(MINUTE);
    await round(reporter);
    expect(stripe.total("chat_tokens", "cus_new")).toBe("5");
    expect(await sums()).toMatchObject({ accepted: "6.5", reported: "6.5", held: "0", refused: "0", sent: "6" });
    const anew = await row(4);
    expect(anew).toMatchObject({ customer: "cus_new", state: "accepted", raw: before?.raw, value: before?.value });
    expect([anew?.identifier, anew?.timestamp]).not.toContain(before?.identifier);
    expect(anew?.timestamp).not.toBe(before?.timestamp);
    expect(await row(2)).toEqual({ ...before, reason: "readdress: moved (row 4)" });
    const lines = (await store.rowHistory(2)).filter(({ author }) => author === "operator:ann");
    expect(lines.map(({ to }) => to)).toEqual(["conflict", "dead"]);
    for (const as of ["readdress", "resend"] as const) await expect(say(as, 2)).rejects.toMatchObject(refused);
    // The row that takes it out of the report is nobody's to decide about.
    for (const as of ["readdress", "resend", "write-off", "carry"] as const)
      await expect(say(as, 3)).rejects.toMatchObject(refused);
  });

  it("has its window closed as ever, usage that is due already and that comes later", async () => {
    const { say, sums, take, round, reporter, stripe, clock, row } = await dead();
    const time = (await row(2))?.windowStart ?? 0;
    await take(chat("2", { time }));
    await say("readdress", 2);
    await round(reporter);
    await take(chat("3", { time: time + 1 }));
    for (let rounds = 0; rounds < 3; rounds++) {
      clock.advance(MINUTE);
      await round(reporter);
    }
    expect(stripe.total("chat_tokens", "cus_new")).toBe("10");
    expect(await sums()).toMatchObject({ accepted: "11.5", reported: "11.5", refused: "0", due: "0", sent: "11" });
  });

  it("need not wait until Stripe forgot it, when Stripe rejected it by itself", async () => {
    const { say, sums, hour, stripe, store, clock, round, reporter, move } = await desk();
    await hour("5");
    stripe.deleteCustomer("cus_acme");
    const rejected = { to: "dead", reason: "rejected: meter_event_customer_not_found", author: "webhook" } as const;
    await store.changeRow({ rowId: 1, from: "accepted", ...rejected }, clock.now());
    await expect(say("resend")).rejects.toMatchObject(refused);
    await move();
    await say("readdress");
    await round(reporter);
    expect(stripe.total("chat_tokens", "cus_new")).toBe("5");
    expect(await sums()).toMatchObject({ reported: "5", refused: "0" });
  });

  it("is left where it may have been counted: a person has to look first", async () => {
    const { say, sums, stripe, clock, round, reporter, hour, move } = await desk();
    stripe.failNext({ kind: "server_error", when: "after", status: 500, times: 1 });
    await hour("5");
    stripe.deleteCustomer("cus_acme");
    stripe.forgetIdentifiers();
    clock.advance(limits.retryMaxMs);
    expect(await round(reporter)).toMatchObject({ conflicts: 1 });
    await move();
    await expect(say("readdress")).rejects.toMatchObject(refused);
    await say("write-off");
    await expect(say("readdress")).rejects.toMatchObject(refused);
    expect(await sums()).toMatchObject({ reported: "0", refused: "5" });
  });

  it.each([1, 2, 3])(
    "is billed once when the process dies at step %i of it and the order is given again",
    async (step) => {
      const { say, sums, store, stripe, round, reporter, row } = await dead();
      let calls = 0;
      const dies =
        <Given extends readonly unknown[], Result>(work: (...given: Given) => Promise<Result>) =>
        async (...given: Given): Promise<Result> => {
          calls += 1;
          const result = calls > step ? null : await work(...given);
          if (result === null || calls === step) throw new Error("killed");
          return result;
        };
      const dying: Store = {
        ...store,
        changeRow: dies((...given) => store.changeRow(...given)),
        enqueue: dies((...given) => store.enqueue(...given)),
      };
      await expect(say("readdress", 2, dying)).rejects.toThrow("killed");
      await sums();
      const again = await say("readdress", 2).catch((error: unknown) => error);
      expect(again).toMatchObject(step === 3 ? refused : { applied: true });
      expect((await row(2))?.state).toBe("dead");
      for (let rounds = 0; rounds < 2; rounds++) await round(reporter);
      expect(stripe.total("chat_tokens", "cus_new")).toBe("5");
      expect(await sums()).toMatchObject({ reported: "6.5", refused: "0" });
    },
  );

  it("is added with what was counted in between", async () => {
    const { say, sums, store, take, row, round, reporter, stripe } = await dead();
    const time = (await row(2))?.windowStart ?? START;
    let moves = 0;
    const moving: Store = {
      ...store,
      enqueue: async (...given) => {
        moves += 1;
        if (moves < limits.readdressTriesMax) await take(chat("2", { time }));
        return store.enqueue(...given);
      },
    };
    expect(await say("readdress", 2, moving)).toMatchObject({ applied: true });
    expect(moves).toBe(limits.readdressTriesMax);
    for (let rounds = 0; rounds < 2; rounds++) await round(reporter);
    expect(stripe.total("chat_tokens", "cus_new")).toBe("13");
    expect(await sums()).toMatchObject({ accepted: "14.5", reported: "14.5", refused: "0", due: "0" });
  });

  it("waits for the same order while the usage of its window keeps moving, and no other order fits it then", async () => {
    const { say, sums, store, take, row, round, reporter, stripe } = await dead();
    const time = (await row(2))?.windowStart ?? START;
    const moving: Store = {
      ...store,
      enqueue: async (...given) => {
        await take(chat("2", { time }));
        return store.enqueue(...given);
      },
    };
    await expect(say("readdress", 2, moving)).rejects.toMatchObject({ ...refused, remedy: /Give the order again/ });
    expect(await row(2)).toMatchObject({ state: "conflict", reason: "readdress: moved" });
    for (const as of ["delivered", "resend", "write-off", "carry"] as const)
      await expect(say(as, 2)).rejects.toMatchObject({ ...refused, remedy: /can be said: readdress \(/ });
    await sums();
    expect(await say("readdress", 2)).toMatchObject({ applied: true });
    for (let rounds = 0; rounds < 2; rounds++) await round(reporter);
    expect(stripe.total("chat_tokens", "cus_new")).toBe("15");
    expect(await sums()).toMatchObject({ accepted: "16.5", reported: "16.5", refused: "0" });
  });

  it.each(["delivered", "resend", "write-off"] as const)(
    "is billed once when another operator says %s beside it, at any step",
    async (as) => {
      const { say, sums, store, round, reporter, stripe, clock } = await dead();
      const others: unknown[] = [];
      const beside =
        <Given extends readonly unknown[], Result>(work: (...given: Given) => Promise<Result>) =>
        async (...given: Given): Promise<Result> => {
          others.push(await say(as, 2).catch((error: unknown) => error));
          return work(...given);
        };
      const crowded: Store = {
        ...store,
        enqueue: beside((...given) => store.enqueue(...given)),
        laneTotals: beside(() => store.laneTotals()),
      };
      // The other one looked at it before this order, and decides after it.
      const looked: Store = {
        ...store,
        changeRow: async (...given) => {
          expect(await say("readdress", 2, crowded)).toMatchObject({ applied: true });
          return store.changeRow(...given);
        },
      };
      if (as === "resend") others.push(await say(as, 2, looked).catch((error: unknown) => error));
      else await say("readdress", 2, crowded);
      expect(others).toHaveLength(as === "resend" ? 3 : 2);
      for (const other of others) expect(other).toMatchObject(refused);
      for (let rounds = 0; rounds < 3; rounds++) {
        await round(reporter);
        clock.advance(MINUTE);
      }
      expect(stripe.total("chat_tokens", "cus_new")).toBe("5");
      expect(await sums()).toMatchObject({ reported: "6.5", refused: "0" });
    },
  );

  it("is billed once when two give the order at once", async () => {
    const { say, sums, store, round, reporter, stripe, row } = await dead();
    let isFirst = true;
    const crowded: Store = {
      ...store,
      dirtyWindows: async (...given) => {
        if (!isFirst) return store.dirtyWindows(...given);
        isFirst = false;
        expect(await say("readdress", 2)).toMatchObject({ applied: true, anew: { rowId: 4 } });
        return store.dirtyWindows(...given);
      },
    };
    expect(await say("readdress", 2, crowded)).toMatchObject({ applied: true, anew: { rowId: 4 } });
    expect(await row(2)).toMatchObject({ state: "dead", reason: "readdress: moved (row 4)" });
    for (let rounds = 0; rounds < 2; rounds++) await round(reporter);
    expect(stripe.total("chat_tokens", "cus_new")).toBe("5");
    expect(await sums()).toMatchObject({ reported: "6.5", refused: "0" });
  });

  it.each(["held", "sent"] as const)(
    "is taken back when Stripe refuses the report once more and it is ordered to go out, or says that both did: %s",
    async (anew) => {
      const { say, sums, store, round, reporter, stripe, row, clock } = await dead();
      const told = { rowId: 2, from: "conflict", to: "dead", reason: "rejected: gone", author: "webhook" } as const;
      clock.advance(limits.identifierMemoryMs);
      const crossed: Store = {
        ...store,
        enqueue: async (...given) => {
          expect(await store.changeRow(told, clock.now())).toBe(true);
          await say("resend", 2);
          const inserted = await store.enqueue(...given);
          if (anew === "held") return inserted;
          stripe.createCustomer({ id: "cus_acme", metadata: {} });
          await round(reporter);
          return inserted;
        },
      };
      const remedy = anew === "held" ? "Look at it again." : /Row 4 says its usage too and is on its way: cancel it/;
      await expect(say("readdress", 2, crossed)).rejects.toMatchObject({ ...refused, remedy });
      if (anew === "sent") return;
      expect(await row(2)).toMatchObject({ state: "pending" });
      await expect(say("resend", 4)).rejects.toMatchObject(refused);
      stripe.createCustomer({ id: "cus_acme", metadata: {} });
      await round(reporter);
      expect([stripe.total("chat_tokens", "cus_acme"), stripe.total("chat_tokens", "cus_new")]).toEqual(["6", "0"]);
      expect(await sums()).toMatchObject({ accepted: "6.5", reported: "6.5", refused: "0" });
    },
  );
});
