import { describe, expect, it } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import { DAY, START } from "../engine/world.ts";
import { local, scripted } from "./books.ts";
import { list, meter, refusal } from "./scripted-stripe.ts";

const seconds = (ms: number): number => ms / 1_000;
const days = (at: number): number => (at - START) / DAY;

const item = (id: string, of: string) => ({
  id,
  price: { recurring: { meter: of } },
  current_period_start: seconds(START - 10 * DAY),
  current_period_end: seconds(START + 20 * DAY),
});

const subscription = (id: string, changes: object) => ({
  id,
  customer: `cus_${id}`,
  status: "active",
  ended_at: null,
  cancel_at: null,
  cancel_at_period_end: false,
  items: { object: "list", data: [item(`si_${id}`, "mtr_1")], has_more: false },
  ...changes,
});

describe("periods()", () => {
  it("are those of all items on our meters, as long as the subscription lives", async () => {
    const { reporter, stripe } = await local();
    stripe.createMeter({ event_name: "calls" });
    stripe.createCustomer({ id: "cus_globex", metadata: { company_id: "globex" } });
    const anchor = seconds(START - 10 * DAY);
    stripe.createSubscription({ customer: "cus_acme", meters: ["chat_tokens", "calls"], anchor });
    const ending = stripe.createSubscription({ customer: "cus_globex", meters: ["calls"], anchor });
    stripe.cancelSubscription(ending.id, START + 2 * DAY);
    const periods = await reporter.periods();
    const from = START - 10 * DAY;
    expect(new Set(periods.map((period) => period.item)).size).toBe(3);
    expect(periods.toSorted((a, b) => (a.customer + a.reportAs < b.customer + b.reportAs ? -1 : 1))).toMatchObject([
      { customer: "cus_acme", reportAs: "calls", from, to: START + 20 * DAY, renews: true },
      { customer: "cus_acme", reportAs: "chat_tokens", from, to: START + 20 * DAY, renews: true },
      { customer: "cus_globex", reportAs: "calls", from, to: START + 2 * DAY, renews: false },
    ]);
  });

  it("leave out other meters, and subscriptions that ended long ago or never began", async () => {
    const { reporter } = await scripted(({ path, query }) => {
      if (path === "/v1/billing/meters") return list(meter);
      if (path === "/v1/subscription_items")
        return list(item(`si_first`, "mtr_1"), item("si_second", query.get("subscription") === "many" ? "mtr_1" : ""));
      return list(
        subscription("other", { items: { data: [item("si_other", "mtr_9")], has_more: false } }),
        subscription("old", { status: "canceled", ended_at: seconds(START - limits.periodsEndedMaxMs - DAY) }),
        subscription("never", { status: "incomplete_expired" }),
        subscription("ended", { status: "canceled", ended_at: seconds(START - DAY) }),
        subscription("planned", {
          status: "canceled",
          ended_at: seconds(START - DAY),
          cancel_at: seconds(START - DAY),
        }),
        subscription("waiting", { status: "incomplete" }),
        subscription("leaving", { cancel_at_period_end: true, cancel_at: seconds(START + 20 * DAY) }),
        subscription("expanded", { customer: { id: "cus_object" }, cancel_at: seconds(START + 90 * DAY) }),
        subscription("many", { items: { data: [item("si_first", "mtr_1")], has_more: true } }),
      );
    });
    const periods = await reporter.periods();
    expect(periods.map(({ customer, to, renews }) => [customer, (to - START) / DAY, renews])).toEqual([
      // At once: the period that ran is on no invoice.
      ["cus_ended", -10, false],
      ["cus_planned", -1, false],
      ["cus_leaving", 20, false],
      ["cus_object", 20, true],
      ["cus_many", 20, true],
      ["cus_many", 20, true],
    ]);
  });

  it("are read once an hour, when it has just begun", async () => {
    let reads = 0;
    const { reporter, clock } = await scripted(({ path }) => {
      if (path === "/v1/subscriptions") reads += 1;
      return list(...(path === "/v1/billing/meters" ? [meter] : []));
    });
    for (const [advanced, expected] of [
      [0, 1],
      [limits.periodsAfterHourMs - 1, 1],
      [1, 2],
      [limits.reporterPeriodsMs - 1, 2],
      [1, 3],
    ] as const) {
      clock.advance(advanced);
      await reporter.periods();
      expect(reads).toBe(expected);
    }
  });

  it("are unknown, and told once, when the key may not read them: no reason to stop", async () => {
    const { reporter, clock, notices } = await scripted(({ path }) =>
      path === "/v1/subscriptions"
        ? refusal(403, "Having the 'rak_subscription_read' permission would allow this request to continue.")
        : list(meter),
    );
    for (let hour = 0; hour < 3; hour++) {
      expect(await reporter.periods()).toEqual([]);
      clock.advance(limits.reporterPeriodsMs);
    }
    expect(notices.filter((notice) => notice.startsWith("METER_STRIPE_REFUSED"))).toEqual([
      expect.stringContaining("rak_subscription_read"),
    ]);
  });

  it("of one customer are asked for each time, with what was billed before, no longer than it can have been", async () => {
    const one = (id: string, changes: object) =>
      subscription(id, {
        customer: "cus_one",
        created: seconds(START - 100 * DAY),
        start_date: seconds(START - 100 * DAY),
        billing_cycle_anchor: seconds(START - 100 * DAY),
        ...changes,
      });
    const billed = (created: number, recurring: object, to = START + 20 * DAY) => ({
      data: [
        {
          ...item("si", "mtr_1"),
          created: seconds(created),
          current_period_end: seconds(to),
          price: { recurring: { meter: "mtr_1", ...recurring } },
        },
      ],
      has_more: false,
    });
    const monthly = { interval: "month", interval_count: 1 };
    const lasting = {
      running: one("running", { items: billed(START - 100 * DAY, monthly) }),
      added: one("added", { items: billed(START - 20 * DAY, monthly) }),
      begun: one("begun", { items: billed(START - 10 * DAY, { interval: "day", interval_count: 2 }) }),
      paused: one("paused", {
        status: "paused",
        trial_end: seconds(START - DAY),
        start_date: seconds(START - 10 * DAY),
        items: billed(START - 100 * DAY, monthly),
      }),
    };
    const yearly = { interval: "year", interval_count: 1 };
    const changed = {
      // From monthly to yearly: the present period begins where the anchor lies now.
      upgraded: one("upgraded", {
        billing_cycle_anchor: seconds(START - 10 * DAY),
        items: billed(START - 100 * DAY, yearly, START + 355 * DAY),
      }),
      // The anchor was moved within a month: the last period was cut short.
      moved: one("moved", {
        billing_cycle_anchor: seconds(START - 10 * DAY),
        items: billed(START - 100 * DAY, monthly),
      }),
      // The present period is none of the price's kind.
      mixed: one("mixed", { items: billed(START - 100 * DAY, { interval: "week", interval_count: 1 }) }),
    };
    const told = { ...lasting, ...changed };
    let wanted: keyof typeof told = "running";
    const { reporter } = await scripted(({ path, query }) => {
      if (path === "/v1/billing/meters") return list(meter);
      if (query.get("customer") !== "cus_one") return refusal(400, "No such customer: 'cus_two'");
      return list(told[wanted]);
    });
    const spans = async (name: keyof typeof told): Promise<readonly unknown[]> => {
      wanted = name;
      const { present, earlier } = (await reporter.customerPeriods?.("cus_one")) ?? { present: [], earlier: [] };
      return [
        present.map(({ from, to, renews }) => [days(from), days(to), renews]),
        earlier.map(({ from, to }) => [days(from), days(to)]),
      ];
    };
    const running = [[-10, 20, true]];
    expect(await spans("running")).toEqual([
      running,
      [
        [-100, -38],
        [-38, -10],
      ],
    ]);
    expect(await spans("added")).toEqual([running, [[-20, -10]]]);
    expect(await spans("begun")).toEqual([running, []]);
    expect(await spans("paused")).toEqual([[[-10, -1, false]], []]);
    const oneDay = [
      [-100, -11],
      [-11, -10],
    ];
    expect(await spans("upgraded")).toEqual([[[-10, 355, true]], oneDay]);
    expect([await spans("moved"), await spans("mixed")]).toEqual([
      [running, oneDay],
      [running, oneDay],
    ]);
    expect(await reporter.customerPeriods?.("cus_two")).toEqual({ present: [], earlier: [] });
  });

  it("of one who had none are asked for again only so often an hour, until the list of all names one", async () => {
    const begun = new Set<string>();
    const asked: string[] = [];
    const { reporter, clock } = await scripted(({ path, query }) => {
      if (path === "/v1/billing/meters") return list(meter);
      const customer = query.get("customer");
      if (customer !== null) asked.push(customer);
      const named = customer === null ? [...begun] : [customer].filter((one) => begun.has(one));
      return list(...named.map((one) => subscription(one, { customer: one, created: 0, start_date: 0 })));
    });
    const periodsOf = async (customer: string): Promise<number> =>
      (await reporter.customerPeriods?.(customer))?.present.length ?? -1;
    const ask = async (customers: readonly string[]): Promise<number> => {
      const before = asked.length;
      for (const customer of customers) await periodsOf(customer);
      return asked.length - before;
    };
    const customers = Array.from({ length: limits.unsubscribedQuestionsPerHour + 10 }, (_, at) => `cus_${at}`);
    await reporter.periods();
    expect(await ask(customers)).toBe(customers.length);
    expect(await ask(customers)).toBe(limits.unsubscribedQuestionsPerHour);
    expect(await ask(customers)).toBe(0);
    begun.add("cus_1").add("cus_new");
    // Nobody who is new has to wait, and who has a subscription is asked for each time.
    expect([await periodsOf("cus_1"), await periodsOf("cus_new"), await periodsOf("cus_new")]).toEqual([0, 1, 1]);
    expect(asked.slice(-2)).toEqual(["cus_new", "cus_new"]);
    clock.advance(limits.periodsAfterHourMs);
    // Another hour, and another list: what it names is asked for, of the others as many as an hour has.
    expect((await reporter.periods()).map(({ customer }) => customer)).toEqual(["cus_1", "cus_new"]);
    expect(await ask(customers)).toBe(limits.unsubscribedQuestionsPerHour + 1);
    expect([await periodsOf("cus_1"), await ask(customers)]).toEqual([1, 1]);
  }, 120_000);

  it("of one customer are unknown as those of all are, told once", async () => {
    let reads = 0;
    const { reporter, notices } = await scripted(({ path }) => {
      if (path === "/v1/billing/meters") return list(meter);
      reads += 1;
      return refusal(403, "Having the 'rak_subscription_read' permission would allow this request to continue.");
    });
    expect([await reporter.customerPeriods?.("cus_1"), await reporter.customerPeriods?.("cus_1")]).toEqual([
      null,
      null,
    ]);
    expect(await reporter.periods()).toEqual([]);
    expect([reads, notices.filter((notice) => notice.startsWith("METER_STRIPE_REFUSED")).length]).toEqual([2, 1]);
  });

  it("cannot be read while Stripe is down", async () => {
    const { reporter } = await scripted(({ path }) =>
      path === "/v1/subscriptions" ? refusal(500, "oops") : list(meter),
    );
    const unreachable = { code: "METER_STRIPE_UNREACHABLE" };
    await expect(reporter.periods()).rejects.toMatchObject(unreachable);
    await expect(reporter.customerPeriods?.("cus_1")).rejects.toMatchObject(unreachable);
  });
});
