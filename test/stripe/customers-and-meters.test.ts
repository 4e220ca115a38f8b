import { afterEach, describe, expect, it } from "vitest";

import { fromInteger } from "../../src/core/decimal.ts";
import { limits } from "../../src/engine/limits.ts";
import type { CompanyIdAt } from "../../src/stripe/stripe-customers.ts";
import { searchQuery } from "../../src/stripe/stripe-customers.ts";
import { stripeReporter, type StripeReporterOptions } from "../../src/stripe/stripe-reporter.ts";
import {
  startLocalStripe,
  type LocalStripe,
  type LocalStripeOptions,
} from "../../src/testing/local-stripe/local-stripe.ts";
import { manualClock } from "../../src/testing/manual-clock.ts";
import { list, meter, refusal, scriptedStripe, type Script } from "./scripted-stripe.ts";

const START = 1_795_341_600_000;
const KEY = "rk_test_51AbCdEfGhIjKlMnOpQrStUv";
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

const metadata: CompanyIdAt = { kind: "metadata", key: "company_id" };

function reporterAt(apiBase: string | null, more: Partial<StripeReporterOptions> = {}) {
  return stripeReporter({
    apiKey: KEY,
    mode: "test",
    apiBase,
    companyIdAt: metadata,
    clock: manualClock(START),
    ...more,
  });
}

async function local(options: LocalStripeOptions = {}, more: Partial<StripeReporterOptions> = {}) {
  const clock = manualClock(START);
  const stripe: LocalStripe = await startLocalStripe({ clock, ...options });
  open.push(stripe);
  return { clock, stripe, reporter: reporterAt(stripe.url, { clock, ...more }) };
}

async function scripted(script: Script) {
  const clock = manualClock(START);
  const server = await scriptedStripe(script);
  open.push(server);
  return { server, clock, reporter: reporterAt(server.url, { clock }) };
}

async function listed(reporter: ReturnType<typeof reporterAt>) {
  const found: string[] = [];
  for await (const { company, customer } of reporter.customers()) found.push(`${company}=${customer}`);
  return found;
}

describe("customers", () => {
  it("are listed page after page, those without a company id left out", async () => {
    const { stripe, reporter } = await local();
    for (let at = 0; at < 230; at++)
      stripe.createCustomer({ id: `cus_${at}`, metadata: at % 2 === 0 ? { company_id: `c${at}` } : {} });
    const found = await listed(reporter);
    expect(found).toHaveLength(115);
    expect(found).toContain("c0=cus_0");
    expect(stripe.requests.filter(({ path }) => path.startsWith("/v1/customers"))).toHaveLength(3);
  });

  it("are found when search does not know them yet, by the list of new ones", async () => {
    const { clock, stripe, reporter } = await local({ searchLagMs: 60_000 });
    await listed(reporter);
    clock.advance(120_000);
    stripe.createCustomer({ id: "cus_new", metadata: { company_id: "late" } });
    expect(await reporter.findCustomer("late")).toEqual({ kind: "mapped", customer: "cus_new" });
    expect(await reporter.findCustomer("nobody")).toEqual({ kind: "missing" });
  });

  it("are ambiguous when two claim a company, also one old and one new", async () => {
    const { clock, stripe, reporter } = await local();
    stripe.createCustomer({ id: "cus_a", metadata: { company_id: "acme" } });
    clock.advance(10 * 3_600_000);
    await listed(reporter);
    stripe.createCustomer({ id: "cus_b", metadata: { company_id: "acme" } });
    expect(await reporter.findCustomer("acme")).toEqual({ kind: "ambiguous", customers: ["cus_a", "cus_b"] });
  });

  it.each(["o'brien", 'quo"te', "back\\slash", "' OR email:'x", "müller & co", "A"])(
    "with the company id %j are found exactly",
    async (company) => {
      const { clock, stripe, reporter } = await local();
      stripe.createCustomer({ id: "cus_right", metadata: { company_id: company } });
      stripe.createCustomer({
        id: "cus_other",
        metadata: { company_id: company.toLowerCase() === company ? `${company}x` : company.toLowerCase() },
      });
      clock.advance(10 * 3_600_000);
      await listed(reporter);
      clock.advance(10 * 3_600_000);
      await listed(reporter);
      expect(await reporter.findCustomer(company)).toEqual({ kind: "mapped", customer: "cus_right" });
    },
  );

  it("are left to the list where search does not exist", async () => {
    const { clock, stripe, reporter } = await local({ searchAvailable: false });
    stripe.createCustomer({ id: "cus_a", metadata: { company_id: "acme" } });
    clock.advance(10 * 3_600_000);
    expect(await listed(reporter)).toEqual(["acme=cus_a"]);
    expect(await reporter.findCustomer("acme")).toEqual({ kind: "missing" });
    await reporter.findCustomer("globex");
    const searches = (): number => stripe.requests.filter(({ path }) => path.includes("search")).length;
    expect(searches()).toBe(1);
    clock.advance(limits.searchOffMs);
    await reporter.findCustomer("globex");
    expect(searches()).toBe(2);
  });

  it("go on being searched when Stripe dislikes the query of one company", async () => {
    const { reporter } = await scripted(({ path, query }) => {
      if (path !== "/v1/customers/search") return list();
      if (query.get("query")?.includes("odd") === true) return refusal(400, "Invalid query: unexpected character");
      return list({ id: "cus_a", object: "customer", metadata: { company_id: "acme" } });
    });
    expect(await reporter.findCustomer("odd")).toEqual({ kind: "missing" });
    expect(await reporter.findCustomer("acme")).toEqual({ kind: "mapped", customer: "cus_a" });
  });

  it("are made once for a company, however often it is asked", async () => {
    const { stripe, reporter } = await local();
    const first = await reporter.createCustomer("new co");
    expect(await reporter.createCustomer("new co")).toEqual(first);
    expect(await listed(reporter)).toHaveLength(1);
    expect(await reporter.findCustomer("new co")).toEqual(first);
    expect(stripe.requests.some(({ path }) => path === "/v1/customers")).toBe(true);
  });

  it("are the company themselves when the map says so", async () => {
    const { stripe, reporter } = await local({}, { companyIdAt: { kind: "customerId" } });
    const { id } = stripe.createCustomer({});
    expect(await listed(reporter)).toEqual([`${id}=${id}`]);
    expect(await reporter.findCustomer(id)).toEqual({ kind: "mapped", customer: id });
    stripe.deleteCustomer(id);
    expect(await reporter.findCustomer(id)).toEqual({ kind: "deleted", customer: id });
    expect(await reporter.findCustomer("cus_none")).toEqual({ kind: "missing" });
    expect(await reporter.findCustomer("../meters")).toEqual({ kind: "missing" });
  });

  it("are searched with quotes escaped", () => {
    expect(searchQuery("company_id", "a'b\\c")).toBe("metadata['company_id']:'a\\'b\\\\c'");
  });
});

describe("meters", () => {
  const answers: readonly (readonly [string, object | null, object])[] = [
    ["a raw sum", meter, { kind: "ready", keepsLast: null }],
    ["none", null, { kind: "missing" }],
    [
      "a count",
      { ...meter, default_aggregation: { formula: "count" } },
      { kind: "unfit", reason: expect.stringContaining("count") },
    ],
    ["the last value", { ...meter, default_aggregation: { formula: "last" } }, { kind: "unfit" }],
    ["an hour's last event", { ...meter, event_time_window: "hour" }, { kind: "ready", keepsLast: "hour" }],
  ];
  it.each(answers)("%s", async (_what, found, becomes) => {
    const { server, reporter } = await scripted(() => (found === null ? list() : list(found)));
    expect(await reporter.meter("chat_tokens")).toMatchObject(becomes);
    await reporter.meter("chat_tokens");
    expect(server.seen).toHaveLength(1);
    expect(server.seen[0]?.query.get("status")).toBe("active");
  });
});

describe("the list of meters", () => {
  it("is read once an hour while all are there, and each minute while one is not", async () => {
    const found: object[] = [meter];
    const { server, clock, reporter } = await scripted(() => list(...found));
    await reporter.meter("chat_tokens");
    clock.advance(limits.reporterMetersMs - 1);
    expect(await reporter.meter("chat_tokens")).toEqual({ kind: "ready", keepsLast: null });
    expect(server.seen).toHaveLength(1);
    expect(await reporter.meter("calls")).toMatchObject({ kind: "missing" });
    expect(server.seen).toHaveLength(2);
    found.push({ ...meter, event_name: "calls" });
    clock.advance(limits.missingMeterMs - 1);
    expect(await reporter.meter("calls")).toMatchObject({ kind: "missing" });
    clock.advance(1);
    expect(await reporter.meter("calls")).toEqual({ kind: "ready", keepsLast: null });
    expect(server.seen).toHaveLength(3);
    clock.advance(limits.reporterMetersMs);
    await reporter.meter("calls");
    expect(server.seen).toHaveLength(4);
  });

  it("is read again at once when a report shows that a meter is gone", async () => {
    const found: object[] = [meter];
    const headers = { date: new Date(START).toUTCString() };
    const { server, reporter } = await scripted(({ path }) =>
      path === "/v1/billing/meters"
        ? { ...list(...found), headers }
        : refusal(400, "No active meter found for event name chat_tokens", { headers }),
    );
    expect(await reporter.meter("chat_tokens")).toEqual({ kind: "ready", keepsLast: null });
    found.pop();
    const times = { windowStart: START, windowEnd: START + 3_600_000, timestamp: START, sequence: 0 };
    const names = { meter: "chat_tokens", reportAs: "chat_tokens", company: "acme", customer: "cus_1" };
    const record = { ...names, ...times, value: fromInteger(1), identifier: "mb1_a" };
    expect(await reporter.report(record, "mb1_a.0")).toMatchObject({ kind: "dead" });
    expect(await reporter.meter("chat_tokens")).toMatchObject({ kind: "missing" });
    expect(server.seen.filter(({ path }) => path === "/v1/billing/meters")).toHaveLength(2);
  });
});

describe("the account", () => {
  it("is part of identifiers, with the mode", async () => {
    const { stripe, reporter } = await local();
    expect(await reporter.account()).toBe(`${stripe.account}/test`);
  });

  it("is known by what stays of a key that may not read it", async () => {
    const { server, reporter } = await scripted(() => refusal(403, "Having the 'rak_accounts_read' permission …"));
    const account = await reporter.account();
    expect(account).toMatch(/^key_[0-9a-f]{16}\/test$/);
    expect(await reporterAt(server.url, { apiKey: `${KEY.slice(0, 24)}Rolled00` }).account()).toBe(account);
    expect(await reporterAt(server.url, { apiKey: "rk_test_51OtherAccount000000000" }).account()).not.toBe(account);
  });

  it("answers a refused key with a code, and with no secret", async () => {
    const { reporter } = await scripted(() => refusal(401, `Invalid API Key provided: ${KEY}`));
    const refused = await reporter.account().catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "METER_STRIPE_REFUSED" });
    expect(JSON.stringify(refused, Object.getOwnPropertyNames(refused))).not.toContain(KEY);
    await expect(listed(reporter)).rejects.toMatchObject({ code: "METER_STRIPE_REFUSED" });
  });

  it("answers anything unclear as unreachable", async () => {
    const { reporter } = await scripted(() => ({ status: 200, body: "{" }));
    await expect(reporter.meter("x")).rejects.toMatchObject({ code: "METER_STRIPE_UNREACHABLE" });
    await expect(reporter.findCustomer("x")).rejects.toMatchObject({ code: "METER_STRIPE_UNREACHABLE" });
  });
});

describe("options that cannot be right", () => {
  const wrong: readonly (readonly [string, Partial<StripeReporterOptions>, string])[] = [
    ["no key", { apiKey: "" }, "METER_STRIPE_KEY_MISSING"],
    ["a live key in test mode", { apiKey: "sk_live_1" }, "METER_LIVE_KEY_IN_TEST_MODE"],
    ["a restricted live key in test mode", { apiKey: "rk_live_1" }, "METER_LIVE_KEY_IN_TEST_MODE"],
    ["no URL", { apiBase: "localhost" }, "METER_OPTION_INVALID"],
    ["a URL with a path", { apiBase: "http://127.0.0.1/v1" }, "METER_OPTION_INVALID"],
    ["another protocol", { apiBase: "ftp://127.0.0.1" }, "METER_OPTION_INVALID"],
    [
      "a live key over plain http",
      { apiKey: "sk_live_1", mode: "live", apiBase: "http://127.0.0.1:1" },
      "METER_OPTION_INVALID",
    ],
  ];
  it.each(wrong)("%s", (_what, options, code) => {
    expect(() => reporterAt(null, options)).toThrow(expect.objectContaining({ code }));
  });
});
