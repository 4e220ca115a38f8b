import { Stripe } from "stripe";
import { describe, expect, it } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import { verify } from "../../src/engine/books/verify.ts";
import { chat, DAY, HOUR, MINUTE, START } from "../engine/world.ts";
import { chain } from "./stripe-matrix/chain.ts";

describe("customers that change", () => {
  it("a company that moves to another customer in mid-period is billed at each for its own part, late usage at the new one", async () => {
    const { stripe, owner, clock, take, round, pass, reporter, rows, store, catalog } = await chain();
    await take(chat("10", { time: START }));
    clock.advance(HOUR + 6 * MINUTE);
    await round(reporter);
    // The next window's report is on its way to the old customer when the company moves: it stays his.
    await take(chat("20", { time: START + HOUR }));
    clock.advance(HOUR);
    stripe.failNext({ kind: "reset", when: "before", times: 20 });
    await round(reporter);
    stripe.clearFaults();
    await owner.customers.update("cus_acme", { metadata: { company_id: "" } });
    stripe.createCustomer({ id: "cus_new", metadata: { company_id: "acme" } });
    // The next reading of the list shows it.
    await pass(limits.customerListEveryMs);
    await take(chat("40", { time: START + 2 * HOUR }), chat("5", { time: START + 1 }));
    await pass(3 * HOUR);
    expect([stripe.total("chat_tokens", "cus_acme"), stripe.total("chat_tokens", "cus_new")]).toEqual(["30", "45"]);
    expect([stripe.total("calls", "cus_acme"), stripe.total("calls", "cus_new")]).toEqual(["2", "2"]);
    expect((await rows()).filter(({ state }) => state !== "accepted" && state !== "settled")).toEqual([]);
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it("two customers with one company id are billed nothing until one of them is it alone, then all of it", async () => {
    const { stripe, clock, take, round, pass, reporter, rows, reports, store, catalog } = await chain();
    stripe.createCustomer({ id: "cus_twin", metadata: { company_id: "acme" } });
    await take(chat("10.9", { time: START }));
    clock.advance(HOUR + 6 * MINUTE);
    await round(reporter);
    expect((await rows()).map(({ state, reason }) => [state, reason])).toEqual([
      ["held", "two_customers"],
      ["held", "two_customers"],
    ]);
    expect(reports()).toEqual([]);
    expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { held: "10.9" } } });
    stripe.deleteCustomer("cus_acme");
    await pass(HOUR);
    expect([stripe.total("chat_tokens", "cus_acme"), stripe.total("chat_tokens", "cus_twin")]).toEqual(["0", "10"]);
  });

  it("a customer deleted while its report's outcome is unknown is a person's to decide about, and stops nobody else", async () => {
    const { stripe, clock, take, round, pass, reporter, rows, store, catalog } = await chain({
      companies: ["acme", "globex"],
    });
    await take(chat("10", { time: START }), chat("7", { time: START, company: "globex" }));
    clock.advance(HOUR + 6 * MINUTE);
    stripe.failNext({ kind: "reset", when: "before", times: 20 });
    await round(reporter);
    stripe.clearFaults();
    stripe.deleteCustomer("cus_acme");
    await pass(HOUR);
    const apart = (await rows()).filter(({ state }) => state === "conflict");
    const refused = "earlier attempt unknown; now refused: no_such_customer";
    expect(apart.map(({ company, reason }) => [company, reason?.startsWith(refused)])).toEqual([
      ["acme", true],
      ["acme", true],
    ]);
    expect(stripe.total("chat_tokens", "cus_globex")).toBe("7");
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      meters: { chat_tokens: { refused: "10", reported: "7" } },
    });
  });

  it("a subscription that ends in mid-hour has on its last invoice just what was used before, and loses nothing silently", async () => {
    const { stripe, take, pass, rows, store, catalog } = await chain();
    const subscription = stripe.createSubscription({
      customer: "cus_acme",
      meters: ["chat_tokens"],
      anchor: (START - 5 * DAY) / 1_000,
    });
    stripe.cancelSubscription(subscription.id, START + HOUR + 30 * MINUTE);
    await take(chat("10", { time: START }));
    await pass(HOUR + 40 * MINUTE);
    await take(chat("3", { time: START + HOUR + 29 * MINUTE }), chat("4", { time: START + HOUR + 30 * MINUTE }));
    await pass(6 * HOUR);
    const last = stripe.invoiced().filter(({ periodEnd }) => periodEnd === (START + HOUR + 30 * MINUTE) / 1_000);
    expect(last).toMatchObject([{ quantity: "13", isFinal: true }]);
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
    const sum = (await rows()).filter(({ meter }) => meter === "chat_tokens").reduce((all, { raw }) => all + raw, 0n);
    expect(sum).toBe(17n * 10n ** 12n);
  });
});

describe("figures at their limits", () => {
  it("15 digits are billed to the last one; 16 are held with their reason, and nothing else waits for them", async () => {
    const { stripe, take, pass, rows, store, catalog } = await chain({ companies: ["acme", "globex"] });
    await take(chat("999999999999999", { time: START }), chat("1234567890123456", { time: START, company: "globex" }));
    await pass(HOUR);
    await take(chat("8", { time: START + HOUR, company: "globex" }));
    await pass(2 * HOUR);
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("999999999999999");
    expect(stripe.total("chat_tokens", "cus_globex")).toBe("8");
    expect((await rows()).filter(({ state }) => state === "held")).toMatchObject([
      { company: "globex", reason: "too_many_digits", value: 1_234_567_890_123_456n * 10n ** 12n },
    ]);
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it("a total that becomes negative is billed so, and comes back", async () => {
    const { stripe, take, pass, store, catalog } = await chain();
    await take(chat("10.5", { time: START }));
    await pass(HOUR + 10 * MINUTE);
    const totals = [stripe.total("chat_tokens", "cus_acme")];
    for (const used of ["-25.2", "20"]) {
      await take(chat(used, { time: START + 5 * MINUTE }));
      await pass(20 * MINUTE);
      totals.push(stripe.total("chat_tokens", "cus_acme"));
    }
    expect(totals).toEqual(["10", "-15", "5"]);
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      meters: { chat_tokens: { accepted: "5.3", sent: "5" } },
    });
  });
});

describe("time", () => {
  it("a clock 6 minutes fast sends nothing and says so once; set right, all is billed once", async () => {
    const { stripe, clock, take, round, reports, anotherReporter, told, rows } = await chain();
    let wrongByMs = 6 * MINUTE;
    const own = { now: (): number => clock.now() + wrongByMs };
    const reporter = anotherReporter({ clock: own });
    await take(chat("10", { time: START }));
    clock.advance(HOUR + 6 * MINUTE);
    for (let tries = 0; tries < 4; tries++) {
      expect(await round(reporter, { clock: own })).toMatchObject({
        accepted: 0,
        stopped: expect.stringContaining("clock"),
      });
      clock.advance(5 * MINUTE);
    }
    expect(reports()).toEqual([]);
    expect(told).toEqual(["METER_CLOCK_SKEW"]);
    wrongByMs = 0;
    await round(reporter, { clock: own });
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("10");
    expect((await rows()).map(({ attempts }) => attempts)).toEqual([1, 1]);
  });

  it("usage that arrives 36 days late is never sent, and stands in the list of the held with its reason", async () => {
    const { stripe, clock, take, pass, rows, reports, store, catalog } = await chain();
    await take(chat("10", { time: START }));
    await pass(HOUR + 10 * MINUTE);
    clock.advance(36 * DAY);
    const before = reports().length;
    await take(chat("5", { time: START }));
    await pass(HOUR);
    expect(reports()).toHaveLength(before);
    expect((await rows()).filter(({ state }) => state === "held").map(({ reason }) => reason)).toEqual([
      "too_old",
      "too_old",
    ]);
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("10");
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      meters: { chat_tokens: { reported: "10", held: "5" } },
    });
  });

  it("a resend just before its 23 hours, whose reply is lost, is not sent a third time while summaries lag an hour", async () => {
    const { stripe, clock, take, round, pass, reporter, rows, reports } = await chain({
      stripe: { summaryLagMs: HOUR, identifierHorizonMs: DAY },
    });
    await take(chat("10", { time: START }));
    clock.advance(HOUR + 6 * MINUTE);
    stripe.failNext({ kind: "server_error", when: "before", times: 20 });
    await round(reporter);
    stripe.clearFaults();
    clock.advance(limits.resendSafeMs - 2 * MINUTE);
    stripe.failNext({ kind: "truncated", times: 20 });
    await round(reporter);
    stripe.clearFaults();
    const sent = reports().length;
    // What was forgotten would be counted again.
    stripe.forgetIdentifiers();
    await take(chat("3", { time: clock.now() }));
    await pass(8 * HOUR);
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("13");
    expect(reports().length - sent).toBe(2);
    expect((await rows()).map(({ state }) => state)).toSatisfy((states: readonly string[]) =>
      states.every((state) => state === "accepted" || state === "settled"),
    );
  });
});

describe("a meter that keeps the last report of an hour", () => {
  it("ends at the newest total though the network delivers an older one last", async () => {
    const { stripe, clock, take, round, pass, anotherReporter, rows, reports } = await chain({ keeps: "hour" });
    const network = keepsOneBack();
    const reporter = anotherReporter({ transport: network.transport });
    await take(chat("10", { time: START }));
    clock.advance(HOUR + 6 * MINUTE);
    await round(reporter);
    // Late usage makes a newer total while the first one's outcome is unknown: it must wait.
    await take(chat("15", { time: START + MINUTE }));
    await round(reporter);
    expect(totalsSent(reports())).toEqual([]);
    await pass(30 * MINUTE);
    await network.deliver();
    expect(totalsSent(reports())).toEqual(["10", "25", "10"]);
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("25");
    expect((await rows()).every(({ state }) => state === "accepted")).toBe(true);
  });
});

function totalsSent(reports: readonly URLSearchParams[]): readonly (string | null)[] {
  return reports.filter((form) => form.get("event_name") === "chat_tokens").map((form) => form.get("payload[value]"));
}

/** A network that keeps the first report of tokens back, telling the sender nothing, and delivers it when it is told to. */
function keepsOneBack(): { readonly transport: Stripe.HttpClient; readonly deliver: () => Promise<void> } {
  const genuine = Stripe.createNodeHttpClient();
  let kept: Parameters<Stripe.HttpClient["makeRequest"]> | null = null;
  return {
    transport: {
      getClientName: () => "node",
      makeRequest: async (...call) => {
        if (kept !== null || !call[5].includes("event_name=chat_tokens")) return genuine.makeRequest(...call);
        kept = call;
        throw Object.assign(new Error("the connection timed out"), { code: "ETIMEDOUT" });
      },
    },
    deliver: async () => {
      if (kept === null) throw new Error("nothing was kept back");
      await (await genuine.makeRequest(...kept)).toJSON();
    },
  };
}
