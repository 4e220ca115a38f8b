import { expect, it } from "vitest";

import { applyBillerNotice, type NoticeStatus } from "../../src/engine/delivery/biller-notices.ts";
import { limits } from "../../src/engine/limits.ts";
import type { BillerNotice, CustomerNotice, OutboxRow, RejectionNotice, Store } from "../../src/engine/ports.ts";
import { verify } from "../../src/engine/books/verify.ts";
import { onBothStores } from "../engine/both-stores.ts";
import { chat, HOUR, hourly, MINUTE } from "../engine/world.ts";
import { reconcileWorld, type ReconcileWorld } from "./reconcile-world.ts";

const CODE = "meter_event_customer_not_found";

function apply(
  { store, clock, notices }: ReconcileWorld,
  notice: BillerNotice,
  over: Store = store,
): Promise<NoticeStatus> {
  return applyBillerNotice({ store: over, clock, onNotice: (told) => void notices.push(told) }, notice);
}

function rejection(
  { clock }: ReconcileWorld,
  identifiers: readonly (string | null | undefined)[],
  changes: Partial<RejectionNotice> = {},
): RejectionNotice {
  return {
    kind: "rejection",
    id: "evt_1",
    reportAs: "chat_tokens",
    from: clock.now() - 10_000,
    to: clock.now(),
    errorCount: identifiers.length,
    samples: identifiers.map((identifier) => ({
      identifier: identifier ?? "",
      code: CODE,
      message: "No such customer",
    })),
    ...changes,
  };
}

async function reported(make: () => Promise<Store>, ...used: readonly string[]): Promise<ReconcileWorld> {
  const world = await reconcileWorld({ store: await make(), companies: ["acme", "globex"] });
  for (const value of used) await world.hour(value);
  return world;
}

onBothStores("a rejection", (make) => {
  it.each([
    ["identifier", ""],
    ["Idempotency-Key", ".0"],
  ])(
    "named by %s makes the report dead with its reason, and its usage stays to be seen as refused",
    async (_by, suffix) => {
      const world = await reported(make, "5", "7");
      const [row] = await world.rows("accepted");
      expect(await apply(world, rejection(world, [`${row?.identifier}${suffix}`]))).toBe("taken");
      expect(await world.rows("dead")).toMatchObject([{ rowId: row?.rowId, reason: `rejected: ${CODE}` }]);
      expect(world.notices).toMatchObject([{ code: "METER_STRIPE_REJECTED", text: expect.stringContaining(CODE) }]);
      expect(await world.store.rowHistory(row?.rowId ?? 0)).toContainEqual(
        expect.objectContaining({ what: "change", to: "dead", author: "webhook" }),
      );
      expect(await verify(world.store, world.catalog)).toMatchObject({
        ok: true,
        meters: { chat_tokens: { accepted: "12", reported: "7", refused: "5" } },
      });
    },
  );

  it("that comes twice is told once and changes nothing more", async () => {
    const world = await reported(make, "5");
    const [row] = await world.rows("accepted");
    const notice = rejection(world, [row?.identifier]);
    for (let times = 0; times < 3; times++) expect(await apply(world, notice)).toBe("taken");
    expect(world.notices).toHaveLength(1);
    expect((await world.store.rowHistory(row?.rowId ?? 0)).filter(({ what }) => what === "change")).toHaveLength(1);
  });

  it("survives a crash between any two of its steps", async () => {
    const world = await reported(make, "5", "7");
    const rows = await world.rows("accepted");
    const notice = rejection(
      world,
      rows.map(({ identifier }) => identifier),
      { errorCount: 3 },
    );
    for (let step = 1; step < 20; step++) {
      let calls = 0;
      const dying = new Proxy(world.store, {
        get: (target, name, receiver) => {
          const method: unknown = Reflect.get(target, name, receiver);
          if (typeof method !== "function" || !["changeRow", "takeOnce", "putReconciliation"].includes(String(name)))
            return method;
          return async (...given: unknown[]) => {
            calls += 1;
            const result: unknown = calls > step ? null : await Reflect.apply(method, target, given);
            if (calls >= step) throw new Error("killed");
            return result;
          };
        },
      });
      const died = await apply(world, notice, dying).then(
        () => false,
        () => true,
      );
      if (!died) break;
    }
    expect(await apply(world, notice)).toBe("taken");
    expect(await world.rows("dead")).toHaveLength(2);
  });

  it("of an earlier sending, or of before the books showed the report, says nothing of it", async () => {
    const world = await reported(make, "5", "7", "9");
    const [settled, resent] = await world.rows("accepted");
    const notice = rejection(world, [settled?.identifier, resent?.identifier]);
    world.clock.advance(2 * HOUR);
    await world.store.settleRows([settled?.rowId ?? 0], world.clock.now());
    const change = {
      rowId: resent?.rowId ?? 0,
      from: "accepted",
      to: "pending",
      reason: "missing",
      author: "reconcile",
    } as const;
    await world.store.changeRow({ ...change, resend: true }, world.clock.now());
    await world.round(world.reporter);
    expect(await apply(world, notice)).toBe("taken");
    expect(await world.rows("dead")).toEqual([]);
    expect((await world.rows()).map(({ state }) => state).toSorted()).toEqual(["accepted", "accepted", "settled"]);
  });

  it("that settled reports got after they were settled makes them dead", async () => {
    const world = await reported(make, "5");
    const [row] = await world.rows("accepted");
    await world.store.settleRows([row?.rowId ?? 0], world.clock.now());
    world.clock.advance(MINUTE);
    await apply(world, rejection(world, [row?.identifier]));
    expect(await world.rows("dead")).toHaveLength(1);
  });

  it("of a report without an answer ends its trying: it would only be told that Stripe has it", async () => {
    const world = await reported(make);
    world.stripe.failNext({ kind: "reset", when: "after", times: 2 });
    await world.hour("5");
    const [row] = await world.rows("pending");
    expect(await apply(world, rejection(world, [row?.identifier]))).toBe("taken");
    world.clock.advance(HOUR);
    expect(await world.round(world.reporter)).toMatchObject({ accepted: 0 });
    expect(await world.rows("dead")).toMatchObject([{ rowId: row?.rowId }]);
  });

  it("has to come again while the report is being sent", async () => {
    const world = await reported(make);
    world.stripe.failNext({ kind: "server_error", when: "before", times: 1 });
    await world.hour("5");
    const [row] = await world.rows("pending");
    world.clock.advance(limits.retryMaxMs);
    await world.store.claim({ now: world.clock.now(), leaseMs: limits.leaseMs, holder: "other", limit: 9 });
    expect(await apply(world, rejection(world, [row?.identifier]))).toBe("later");
    expect(await world.rows("sending")).toHaveLength(1);
    expect(world.notices).toEqual([]);
  });

  it("of nothing of ours is told and harms nothing", async () => {
    const world = await reported(make, "5");
    expect(await apply(world, rejection(world, ["mb1_unknown", "x.0", ""]))).toBe("taken");
    expect(await world.rows("accepted")).toHaveLength(1);
    expect(world.notices).toHaveLength(1);
  });

  it.each(["chat_tokens", null])(
    "with more errors than samples has the lanes of %s compared as soon as the books can be believed",
    async (reportAs) => {
      const world = await reported(make, "5", "7");
      const { check, clock, rows } = world;
      const due = { lanes: "due" } as const;
      clock.advance(2 * HOUR);
      expect(await check(due)).toMatchObject({ lanes: 1 });
      await apply(world, rejection(world, [], { reportAs, errorCount: 1_000 }));
      clock.advance(2 * HOUR);
      expect(await check(due)).toMatchObject({ lanes: 0 });
      clock.advance(limits.reconcileAgainMs);
      expect(await check(due)).toMatchObject({ lanes: 1, reads: 1 });
      expect(await rows("settled")).toHaveLength(2);
    },
  );

  it("of another meter leaves this one's lanes alone", async () => {
    const world = await reported(make, "5");
    world.clock.advance(2 * HOUR);
    await world.check({ lanes: "due" });
    const before = await world.store.reconciliations();
    await apply(world, rejection(world, [], { reportAs: "calls", errorCount: 9 }));
    expect(await world.store.reconciliations()).toEqual(before);
  });
});

const told = (
  change: CustomerNotice["change"],
  customer: string,
  company: string | null,
  formerCompany: string | null = null,
): CustomerNotice => ({
  kind: "customer",
  id: `evt_${customer}_${change}`,
  change,
  customer,
  company,
  formerCompany,
});

const payer = async (world: ReconcileWorld, company: string) =>
  (await world.store.customerMappings([company])).map(({ state, customers }) => [state, ...customers]);
/** Who pays for usage of now, and whether nothing else was sent. */
async function paid(world: ReconcileWorld, company = "acme"): Promise<OutboxRow | undefined> {
  await world.hour("5", company);
  return (await world.rows()).findLast((row) => row.company === company);
}
const finds = ({ stripe }: ReconcileWorld): number =>
  stripe.requests.filter(({ path }) => path === "/v1/customers/search").length;

onBothStores("what Stripe tells of customers", (make) => {
  it("of a company that is known so already asks nobody", async () => {
    const world = await reported(make, "5");
    const before = finds(world);
    for (const change of ["created", "updated"] as const) await apply(world, told(change, "cus_acme", "acme"));
    await apply(world, told("deleted", "cus_other", "acme"));
    expect(await paid(world)).toMatchObject({ customer: "cus_acme", state: "accepted" });
    expect(finds(world)).toBe(before);
  });

  it("makes a new customer known at once, not after the next list", async () => {
    const world = await reported(make, "5");
    await world.take(chat("5", { company: "initech", time: world.clock.now() }));
    world.clock.advance(HOUR + 6 * MINUTE);
    await world.round(world.reporter);
    expect(await world.rows("held")).toMatchObject([{ company: "initech" }]);
    world.clock.advance(MINUTE);
    world.stripe.createCustomer({ id: "cus_initech", metadata: { company_id: "initech" } });
    await apply(world, told("created", "cus_initech", "initech"));
    await world.round(world.reporter);
    expect((await world.rows()).at(-1)).toMatchObject({ customer: "cus_initech", state: "accepted" });
  });

  it("shows two customers with one company, and chooses none", async () => {
    const world = await reported(make, "5");
    world.stripe.createCustomer({ id: "cus_second", metadata: { company_id: "acme" } });
    await apply(world, told("created", "cus_second", "acme"));
    expect(await paid(world)).toMatchObject({ state: "held", reason: "two_customers" });
    world.stripe.deleteCustomer("cus_second");
    await apply(world, told("deleted", "cus_second", "acme"));
    await world.round(world.reporter);
    expect((await world.rows()).map(({ customer, state }) => [customer, state])).toEqual([
      ["cus_acme", "accepted"],
      ["cus_acme", "accepted"],
    ]);
  });

  it("in any order, and twice, ends with what is true", async () => {
    const world = await reported(make, "5");
    await world.hour("5", "globex");
    // Both customers change places at Stripe; what is told of it comes in the wrong order, and again.
    for (const [customer, company] of [
      ["cus_acme", "globex"],
      ["cus_globex", "acme"],
    ] as const) {
      await fetch(`${world.stripe.url}/v1/customers/${customer}`, {
        method: "POST",
        headers: { authorization: "Bearer sk_test_local", "content-type": "application/x-www-form-urlencoded" },
        body: `metadata[company_id]=${company}`,
      });
    }
    const notices = [
      told("created", "cus_acme", "acme"),
      told("updated", "cus_acme", "globex", "acme"),
      told("updated", "cus_globex", "acme", "globex"),
      told("created", "cus_globex", "globex"),
    ];
    for (const notice of [...notices.toReversed(), ...notices, ...notices.slice(0, 1)]) await apply(world, notice);
    await world.take(chat("5", { time: world.clock.now() }), chat("5", { company: "globex", time: world.clock.now() }));
    world.clock.advance(HOUR + 6 * MINUTE);
    await world.round(world.reporter);
    expect(
      (await world.rows())
        .slice(2)
        .map(({ company, customer }) => `${company}=${customer}`)
        .toSorted(),
    ).toEqual(["acme=cus_globex", "globex=cus_acme"]);
  });

  it("is not undone by a list that was read before", async () => {
    const world = await reported(make, "5");
    const { reporter, clock, store } = world;
    clock.advance(limits.customerListEveryMs);
    const listing = {
      ...reporter,
      async *customers() {
        for await (const customer of reporter.customers()) {
          yield customer;
          if (customer.company !== "acme") continue;
          world.stripe.deleteCustomer("cus_acme");
          world.stripe.createCustomer({ id: "cus_new", metadata: { company_id: "acme" } });
          await apply(world, told("deleted", "cus_acme", "acme"));
        }
      },
    };
    await world.round(listing);
    expect(await payer(world, "acme")).toEqual([["missing"]]);
    expect(await paid(world)).toMatchObject({ customer: "cus_new", state: "accepted" });
    expect(await store.customerMappings(["acme"])).toMatchObject([{ state: "mapped", customers: ["cus_new"] }]);
  });

  it("makes no second customer for a company whose first the search does not know yet", async () => {
    const world = await reported(make, "5");
    const { stripe, clock, round, reporter, take } = world;
    const create = { settings: { ...hourly, unmatchedCustomer: "create" } } as const;
    stripe.setLags({ searchLagMs: HOUR });
    await fetch(`${stripe.url}/v1/customers/cus_globex`, {
      method: "POST",
      headers: { authorization: "Bearer sk_test_local", "content-type": "application/x-www-form-urlencoded" },
      body: "metadata[company_id]=initech",
    });
    await apply(world, told("updated", "cus_globex", "initech", "globex"));
    await take(chat("5", { company: "initech", time: clock.now() - HOUR }));
    await round(reporter, create);
    expect((await world.rows("held")).map(({ company }) => company)).toEqual(["initech"]);
    clock.advance(limits.customerListEveryMs);
    await round(reporter, create);
    expect((await world.rows()).findLast(({ company }) => company === "initech")).toMatchObject({
      customer: "cus_globex",
      state: "accepted",
    });
  });
});

onBothStores("what is refused or of no use", (make) => {
  it("changes nothing", async () => {
    const world = await reported(make, "5");
    expect(await apply(world, { kind: "refused", reason: "forged" })).toBe("refused");
    expect(await apply(world, { kind: "ignored", id: "evt_1", reason: "another type" })).toBe("ignored");
    expect([(await world.rows("accepted")).length, world.notices]).toEqual([1, []]);
  });
});
