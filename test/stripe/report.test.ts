import { afterEach, describe, expect, it } from "vitest";

import type { UsageRecord } from "../../src/core/usage-record.ts";
import type { ReportAnswer } from "../../src/engine/ports.ts";
import { stripeReporter } from "../../src/stripe/stripe-reporter.ts";
import { hourRecord } from "./hour-record.ts";
import {
  list,
  meter,
  refusal,
  scriptedStripe,
  type Script,
  type Scripted,
  type ScriptedStripe,
} from "./scripted-stripe.ts";

const NOW = Date.UTC(2026, 10, 22, 12, 0, 0);
const date = { date: new Date(NOW).toUTCString() };

const record: UsageRecord = { ...hourRecord("120.5", NOW - 7_200_000, "mb1_abc"), customer: "cus_1" };

const accepted: Scripted = {
  headers: date,
  body: {
    object: "billing.meter_event",
    identifier: "mb1_abc",
    event_name: "chat_tokens",
    payload: {},
    created: 1,
    livemode: false,
    timestamp: 1,
  },
};

const open: ScriptedStripe[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

async function stripe(onEvent: Script, others: Script = () => undefined) {
  const server = await scriptedStripe((request, response) => {
    if (request.path === "/v1/billing/meter_events") return onEvent(request, response);
    const other = others(request, response);
    if (other !== undefined) return other;
    return request.path === "/v1/billing/meters"
      ? { ...list(meter), headers: date }
      : { headers: date, body: { id: "acct_1", object: "account" } };
  });
  open.push(server);
  const notices: string[] = [];
  const reporter = stripeReporter({
    apiKey: "sk_test_secret0123456789",
    mode: "test",
    apiBase: server.url,
    companyIdAt: { kind: "metadata", key: "company_id" },
    clock: { now: () => NOW },
    onNotice: ({ code }) => void notices.push(code),
  });
  return { server, reporter, notices };
}

describe("a meter event", () => {
  it("carries exactly the record, with our identifier and key", async () => {
    const { server, reporter } = await stripe(() => accepted);
    expect(await reporter.report(record, "mb1_abc.0")).toEqual({ kind: "accepted", requestId: "req_1" });
    const sent = server.seen.at(-1);
    expect(Object.fromEntries(sent?.form ?? [])).toEqual({
      event_name: "chat_tokens",
      identifier: "mb1_abc",
      "payload[stripe_customer_id]": "cus_1",
      "payload[value]": "120.5",
      "payload[meterbook_company]": "acme",
      timestamp: String((NOW - 7_200_000) / 1_000),
    });
    expect(sent?.headers["idempotency-key"]).toBe("mb1_abc.0");
    expect(sent?.headers["x-stripe-client-telemetry"]).toBeUndefined();
  });

  it("uses the payload keys that the meter names", async () => {
    const named = {
      ...meter,
      customer_mapping: { type: "by_id", event_payload_key: "who" },
      value_settings: { event_payload_key: "n" },
    };
    const { server, reporter } = await stripe(
      () => accepted,
      ({ path }) => (path === "/v1/billing/meters" ? list(named) : undefined),
    );
    await reporter.report(record, "k");
    expect(server.seen.at(-1)?.form.get("payload[who]")).toBe("cus_1");
    expect(server.seen.at(-1)?.form.get("payload[n]")).toBe("120.5");
  });
});

const rateLimited = { "stripe-rate-limited-reason": "global-rate" };
const duplicate = (identifier: string): Scripted =>
  refusal(400, `An event already exists with identifier ${identifier}.`, {
    headers: { "stripe-should-retry": "false" },
  });
const unknown = (more: Partial<Extract<ReportAnswer, { kind: "unknown" }>> = {}) => ({
  kind: "unknown",
  freshKey: false,
  retryAfterMs: null,
  rateLimited: false,
  ...more,
});

const table: readonly (readonly [string, Scripted, object])[] = [
  ["200", accepted, { kind: "accepted", requestId: "req_1" }],
  ["200 with a broken body", { body: '{"object": "billing.me' }, unknown()],
  ["200 with an empty body", { body: "" }, unknown()],
  ["200 with null", { body: "null" }, unknown()],
  ["200 about another event", { body: { object: "billing.meter_event", identifier: "mb1_other" } }, unknown()],
  ["a web page instead of JSON", { status: 502, body: "<html>Bad gateway</html>" }, unknown()],
  ["400 duplicate of ours", duplicate("mb1_abc"), { kind: "accepted", requestId: "req_1" }],
  [
    "400 duplicate of another identifier",
    duplicate("mb1_other"),
    { kind: "dead", reason: expect.stringContaining("other_identifier") },
  ],
  [
    "400 duplicate of ours in other words",
    refusal(400, "An Event already exists with identifier 'mb1_abc', see request req_9 (meter mtr_1)."),
    { kind: "accepted", requestId: "req_1" },
  ],
  ["400 duplicate with a longer identifier", duplicate("mb1_abcd"), { kind: "dead" }],
  ["400 duplicate with an identifier after a point", duplicate("mb1_abc.2"), { kind: "dead" }],
  ["400 duplicate with a shorter identifier", duplicate("mb1_ab"), { kind: "dead" }],
  ["400 that names ours otherwise", refusal(400, "Bad identifier mb1_abc."), { kind: "dead" }],
  ["429 over the rate", refusal(429, "Too many requests", { headers: rateLimited }), unknown({ rateLimited: true })],
  ["429 without a reason", refusal(429, "Too many requests"), unknown()],
  ["429 lock_timeout", refusal(429, "lock", { headers: { "stripe-should-retry": "true" } }), unknown()],
  [
    "429 with Retry-After",
    refusal(429, "Too many", { headers: { ...rateLimited, "retry-after": "7" } }),
    unknown({ rateLimited: true, retryAfterMs: 7_000 }),
  ],
  ["409", refusal(409, "concurrent"), unknown()],
  ["500", refusal(500, "oops", { type: "api_error" }), unknown({ freshKey: true })],
  [
    "500 that says not to retry",
    refusal(500, "oops", { type: "api_error", headers: { "stripe-should-retry": "false" } }),
    unknown({ freshKey: true }),
  ],
  ["503", refusal(503, "down", { type: "api_error" }), unknown({ freshKey: true })],
  [
    "503 that asks to try again",
    refusal(503, "down", { type: "api_error", headers: { "stripe-should-retry": "true" } }),
    unknown({ freshKey: true }),
  ],
  [
    "400 that asks to try again",
    refusal(400, "No such customer: 'cus_1'", { headers: { "stripe-should-retry": "true" } }),
    unknown(),
  ],
  [
    "400 other parameters under the key",
    refusal(400, "Keys for idempotent requests", { type: "idempotency_error" }),
    unknown({ freshKey: true }),
  ],
  [
    "401",
    refusal(401, "Invalid API Key provided: sk_test_secret0123456789"),
    { kind: "stop", reason: expect.stringContaining("(401)") },
  ],
  [
    "403",
    refusal(403, "Having the 'rak_billing_meter_write' permission would allow this request to continue."),
    { kind: "stop", reason: expect.stringContaining("rak_billing_meter_write") },
  ],
  [
    "400 no such customer",
    refusal(400, "No such customer: 'cus_1'"),
    { kind: "dead", reason: expect.stringContaining("no_such_customer") },
  ],
  [
    "400 no such meter",
    refusal(400, "No such meter with event name: chat_tokens"),
    { kind: "dead", reason: expect.stringContaining("no_meter") },
  ],
  [
    "400 no active meter",
    refusal(400, "No active meter found for event name chat_tokens"),
    { kind: "dead", reason: expect.stringContaining("no_meter") },
  ],
  [
    "400 value",
    refusal(400, "Invalid value in payload"),
    { kind: "dead", reason: expect.stringContaining("value_refused") },
  ],
  [
    "400 digits",
    refusal(400, "At most 15 significant digits are allowed"),
    { kind: "dead", reason: expect.stringContaining("value_refused") },
  ],
  [
    "400 too old",
    refusal(
      400,
      "The event timestamp cannot be more than 35 days in past. Expected a timestamp greater than or equal to 1.",
    ),
    { kind: "dead", reason: expect.stringContaining("timestamp_refused") },
  ],
  [
    "400 of another kind",
    refusal(400, "Something new"),
    { kind: "dead", reason: expect.stringContaining("refused_400") },
  ],
  [
    "402",
    refusal(402, "pay", { type: "card_error" }),
    { kind: "dead", reason: expect.stringContaining("refused_402") },
  ],
  ["404", refusal(404, "Unrecognized request URL"), { kind: "dead", reason: expect.stringContaining("refused_404") }],
];

describe("what Stripe answers and what it becomes", () => {
  it.each(table)("%s", async (_what, answer, becomes) => {
    const { server, reporter } = await stripe(() => answer);
    const outcome = await reporter.report(record, "mb1_abc.0");
    expect(outcome).toMatchObject(becomes);
    expect(JSON.stringify(outcome)).not.toContain("secret0123456789");
    expect(server.seen.filter(({ path }) => path.endsWith("meter_events"))).toHaveLength(1);
  });

  it("a connection reset: unknown, sent twice by the client with one key and one identifier", async () => {
    const { server, reporter } = await stripe((_request, response) => void response.socket?.resetAndDestroy());
    expect(await reporter.report(record, "mb1_abc.0")).toMatchObject(unknown());
    const sent = server.seen.filter(({ path }) => path.endsWith("meter_events"));
    expect(
      new Set(sent.map(({ headers, form }) => `${String(headers["idempotency-key"])} ${form.get("identifier")}`)),
    ).toEqual(new Set(["mb1_abc.0 mb1_abc"]));
  });

  it("nobody listens: unknown", async () => {
    const { server, reporter } = await stripe(() => accepted);
    await reporter.meter("chat_tokens");
    await server.close();
    expect(await reporter.report(record, "k")).toMatchObject(unknown());
  });

  it("meters cannot be read: stop without a right, unknown otherwise", async () => {
    const forbidden = await stripe(
      () => accepted,
      ({ path }) =>
        path === "/v1/billing/meters" ? refusal(403, "Having the 'rak_billing_meter_read' permission …") : undefined,
    );
    expect(await forbidden.reporter.report(record, "k")).toMatchObject({
      kind: "stop",
      reason: expect.stringContaining("rak_billing_meter_read"),
    });
    const down = await stripe(
      () => accepted,
      ({ path }) => (path === "/v1/billing/meters" ? refusal(500, "oops") : undefined),
    );
    expect(await down.reporter.report(record, "k")).toMatchObject(unknown());
    expect(down.server.seen.some(({ path }) => path.endsWith("meter_events"))).toBe(false);
  });

  it("a meter that would count the reports: never sent", async () => {
    const { server, reporter } = await stripe(
      () => accepted,
      ({ path }) =>
        path === "/v1/billing/meters" ? list({ ...meter, default_aggregation: { formula: "count" } }) : undefined,
    );
    expect(await reporter.report(record, "k")).toMatchObject({
      kind: "dead",
      reason: expect.stringContaining("meter_unfit"),
    });
    expect(server.seen.some(({ path }) => path.endsWith("meter_events"))).toBe(false);
  });
});

const skewed = (minutes: number) => ({ date: new Date(NOW + minutes * 60_000).toUTCString() });

describe("clocks that differ", () => {
  it.each([-6, 6])("stop all sending at %i minutes, told once, until the clock is right", async (minutes) => {
    let off = minutes;
    const { server, reporter, notices } = await stripe(
      () => accepted,
      ({ path }) =>
        path === "/v1/account"
          ? { headers: skewed(off), body: { id: "acct_1" } }
          : { ...list(meter), headers: skewed(off) },
    );
    await reporter.account();
    expect(await reporter.report(record, "k")).toMatchObject({
      kind: "stop",
      reason: expect.stringContaining("clock"),
    });
    expect(await reporter.report(record, "k")).toMatchObject({ kind: "stop" });
    expect(notices).toEqual(["METER_CLOCK_SKEW"]);
    expect(server.seen.some(({ path }) => path.endsWith("meter_events"))).toBe(false);
    off = 0;
    expect(await reporter.report(record, "k")).toMatchObject({ kind: "accepted" });
  });

  it("may differ by less", async () => {
    const { reporter, notices } = await stripe(
      () => accepted,
      ({ path }) => (path === "/v1/account" ? { headers: skewed(3.9), body: { id: "acct_1" } } : undefined),
    );
    await reporter.account();
    expect(await reporter.report(record, "k")).toMatchObject({ kind: "accepted" });
    expect(notices).toEqual([]);
  });
});
