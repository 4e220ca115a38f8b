import { describe, expect, it } from "vitest";

import { formatDecimal } from "../../src/core/decimal.ts";
import type { UsageRecord } from "../../src/core/usage-record.ts";
import type { StripeReporter } from "../../src/stripe/stripe-reporter.ts";
import { summaryValue } from "../../src/stripe/summary-value.ts";
import { DAY, HOUR, MINUTE, START } from "../engine/world.ts";
import { books, local, open, scripted } from "./books.ts";
import { hourRecord } from "./hour-record.ts";
import { list, meter, refusal, scriptedStripe } from "./scripted-stripe.ts";

let sent = 0;
const record = (value: string, timestamp: number, changes: Partial<UsageRecord> = {}): UsageRecord => ({
  ...hourRecord(value, timestamp, `mb1_books${++sent}`),
  ...changes,
});

const send = async (reporter: StripeReporter, one: UsageRecord): Promise<void> =>
  expect(await reporter.report(one, `${one.identifier}.0`)).toMatchObject({ kind: "accepted" });

const lane = { customer: "cus_acme", reportAs: "chat_tokens" };
const plain = (spans: Awaited<ReturnType<StripeReporter["counted"]>>) =>
  spans.map(({ from, to, value, isExact }) => [
    (from - START) / MINUTE,
    (to - from) / MINUTE,
    formatDecimal(value),
    isExact,
  ]);

describe("counted()", () => {
  it("gives Stripe's figures by hour, by day, for a minute and for a whole span", async () => {
    const { reporter } = await local();
    await send(reporter, record("5", START - 3 * HOUR));
    await send(reporter, record("7", START - 3 * HOUR + MINUTE));
    await send(reporter, record("-2.5", START - HOUR));
    const from = START - 4 * HOUR;
    expect(plain(await reporter.counted({ ...lane, from, to: START, per: "hour" }))).toEqual([
      [-180, 60, "12", true],
      [-60, 60, "-2.5", true],
    ]);
    const day = { from: START - 10 * HOUR, to: START + 14 * HOUR };
    expect(plain(await reporter.counted({ ...lane, ...day, per: "day" }))).toEqual([[-600, 1_440, "9.5", true]]);
    const minute = { from: START - 3 * HOUR + MINUTE, to: START - 3 * HOUR + 2 * MINUTE };
    expect(plain(await reporter.counted({ ...lane, ...minute, per: null }))).toEqual([[-179, 1, "7", true]]);
    expect(await reporter.counted({ ...lane, from: START - 2 * HOUR, to: START - HOUR, per: null })).toEqual([]);
  });

  it("reads page after page", async () => {
    const { reporter, stripe } = await local();
    for (let hour = 1; hour <= 130; hour++) await send(reporter, record("1", START - hour * HOUR));
    const spans = await reporter.counted({ ...lane, from: START - 200 * HOUR, to: START, per: "hour" });
    expect([spans.length, spans[0]?.from, spans.at(-1)?.from]).toEqual([130, START - 130 * HOUR, START - HOUR]);
    expect(stripe.requests.filter(({ path }) => path.includes("event_summaries"))).toHaveLength(2);
  });

  it("reads the books of a meter that was archived, and says when there never was one", async () => {
    const { reporter, stripe } = await local();
    await send(reporter, record("5", START - HOUR));
    stripe.deactivateMeter("chat_tokens");
    const later = books(stripe.url).reporter;
    const query = { ...lane, from: START - HOUR, to: START, per: null };
    expect(plain(await later.counted(query))).toEqual([[-60, 60, "5", true]]);
    await expect(later.counted({ ...query, reportAs: "never" })).rejects.toMatchObject({
      code: "METER_STRIPE_UNREACHABLE",
      message: expect.stringContaining("never"),
    });
  });

  it.each([
    [403, "METER_STRIPE_REFUSED"],
    [500, "METER_STRIPE_UNREACHABLE"],
    [400, "METER_STRIPE_UNREACHABLE"],
  ])("throws for an answer %i", async (status, code) => {
    const { reporter } = await scripted(({ path }) =>
      path.endsWith("event_summaries")
        ? refusal(status, "Having the 'rak_billing_meter_read' permission")
        : list(meter),
    );
    await expect(reporter.counted({ ...lane, from: START - HOUR, to: START, per: null })).rejects.toMatchObject({
      code,
    });
  });

  it.each([
    ["an empty object", { status: 200, body: {} }],
    ["figures without a value", list({ start_time: 0, end_time: 60 })],
    ["figures without times", list({ aggregated_value: 5 })],
    ["half a body", { status: 200, body: '{"object": "list", "data": [' }],
  ])("takes %s for no answer, not for empty books", async (_name, answer) => {
    const { reporter } = await scripted(({ path }) => (path.endsWith("event_summaries") ? answer : list(meter)));
    await expect(reporter.counted({ ...lane, from: START - HOUR, to: START, per: null })).rejects.toMatchObject({
      code: "METER_STRIPE_UNREACHABLE",
    });
  });
});

describe("a figure of the books", () => {
  it.each([
    [0, "0", true],
    [-12.5, "-12.5", true],
    [9_007_199_254_740_991, "9007199254740991", true],
    [9_007_199_254_740_992, "9007199254740992", false],
    [-9_007_199_254_740_994, "-9007199254740994", false],
    [1e21, "1000000000000000000000", false],
    [1e27, "1000000000000000013287555072", false],
    [0.1 + 0.2, "0.3", false],
    [99.999_999_999_998_6, "99.999999999999", false],
    [1e-13, "0", false],
    [123_456.789, "123456.789", true],
  ])("%d is %s, exact: %s", (figure, text, isExact) => {
    const read = summaryValue(figure);
    expect([formatDecimal(read.value), read.isExact]).toEqual([text, isExact]);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("%d is none", (figure) => {
    expect(() => summaryValue(figure)).toThrow(TypeError);
  });
});

const total = (value: string): UsageRecord => record(value, START - HOUR, { reportAs: "kept", meter: "kept" });

describe("meter()", () => {
  it.each(["hour", "day"] as const)("says that a meter keeps the last report of each %s", async (window) => {
    const { reporter } = await scripted(() => list({ ...meter, event_time_window: window }));
    expect(await reporter.meter("chat_tokens")).toEqual({ kind: "ready", keepsLast: window });
  });

  it.each([
    ["a formula that is no sum", { default_aggregation: { formula: "last" }, event_time_window: "hour" }],
    ["a window that is not known", { event_time_window: "week" }],
  ])("refuses %s", async (_name, changes) => {
    const { reporter } = await scripted(() => list({ ...meter, ...changes }));
    expect(await reporter.meter("chat_tokens")).toMatchObject({ kind: "unfit" });
  });

  it("of a window is sent totals just as others are sent differences, and keeps the last of them", async () => {
    const { reporter, stripe } = await local();
    stripe.createMeter({ event_name: "kept", event_time_window: "hour" });
    for (const value of ["10", "25"]) await send(reporter, total(value));
    expect(stripe.total("kept", "cus_acme")).toBe("25");
    const forms = stripe.requests.filter(({ path }) => path.endsWith("meter_events")).map(({ form }) => form);
    expect(forms.map((form) => [...new URLSearchParams(form).keys()])).toEqual(
      Array.from({ length: 2 }, () => [
        "event_name",
        "identifier",
        "payload[meterbook_company]",
        "payload[stripe_customer_id]",
        "payload[value]",
        "timestamp",
      ]),
    );
  });
});

describe("cancel()", () => {
  it("takes a report back, and a second time changes nothing", async () => {
    const { reporter, stripe } = await local();
    const one = record("5", START - HOUR);
    await send(reporter, one);
    expect(await reporter.cancel(one, "cancel.0")).toMatchObject({ kind: "accepted", requestId: expect.any(String) });
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("0");
    expect(await reporter.cancel(one, "cancel.1")).toMatchObject({ kind: "accepted" });
    expect(stripe.requests.at(-1)?.form).toBe(
      `event_name=chat_tokens&type=cancel&cancel[identifier]=${one.identifier}`,
    );
  });

  it("is dead for what Stripe does not know, and after a day", async () => {
    const { reporter, clock } = await local();
    expect(await reporter.cancel(record("5", START), "k.0")).toMatchObject({
      kind: "dead",
      reason: expect.stringMatching(/^unknown_identifier: /),
    });
    const one = record("5", START - HOUR);
    await send(reporter, one);
    clock.advance(DAY + MINUTE);
    expect(await reporter.cancel(one, "k.1")).toMatchObject({
      kind: "dead",
      reason: expect.stringMatching(/^too_late_to_cancel: /),
    });
  });

  it.each([
    ["has already been canceled", { kind: "accepted" }],
    ["was already cancelled", { kind: "accepted" }],
  ])("an event that %s is as it should be", async (words, answer) => {
    const one = record("5", START);
    const { reporter } = await scripted(({ path }) =>
      path.endsWith("adjustments")
        ? refusal(400, `The event with identifier ${one.identifier} ${words}.`)
        : list(meter),
    );
    expect(await reporter.cancel(one, "k")).toMatchObject(answer);
  });

  it.each([
    ["500", refusal(500, "oops"), { kind: "unknown", freshKey: true }],
    ["429", refusal(429, "slow"), { kind: "unknown" }],
    ["409", refusal(409, "busy"), { kind: "unknown" }],
    ["401", refusal(401, "Invalid API Key"), { kind: "stop" }],
    ["403", refusal(403, "no right"), { kind: "stop" }],
    [
      "a 400 that Stripe asks to repeat",
      refusal(400, "x", { headers: { "stripe-should-retry": "true" } }),
      { kind: "unknown" },
    ],
    ["a 200 about something else", { body: { object: "billing.meter_event_adjustment" } }, { kind: "unknown" }],
    ["half a body", { body: '{"object":' }, { kind: "unknown" }],
    ["a redirect", { status: 301, headers: { location: "https://example.com" }, body: {} }, { kind: "unknown" }],
  ])("%s is judged as for a report", async (_name, answer, expected) => {
    const { reporter } = await scripted(({ path }) => (path.endsWith("adjustments") ? answer : list(meter)));
    expect(await reporter.cancel(record("5", START), "k")).toMatchObject(expected);
  });
});

describe("report()", () => {
  it.each([
    ["a redirect", { kind: "redirect" }],
    ["a redirect with a place to go", { kind: "redirect", location: "https://example.com/login" }],
    ["another object", { kind: "wrong_body", when: "after", body: "other_object" }],
    ["an empty object", { kind: "wrong_body", when: "after", body: "empty" }],
    ["a page", { kind: "wrong_body", when: "before", body: "html" }],
    ["a body that breaks off", { kind: "truncated", cut: true }],
  ] as const)("%s leaves the outcome unknown, and the next try is counted once", async (_name, fault) => {
    const { reporter, stripe } = await local();
    const one = record("5", START - HOUR);
    stripe.failNext(fault);
    expect(await reporter.report(one, "k.0")).toMatchObject({ kind: "unknown" });
    expect(await reporter.report(one, "k.1")).toMatchObject({ kind: "accepted" });
    expect(stripe.total("chat_tokens", "cus_acme")).toBe("5");
  });

  it("over TLS to what speaks none leaves the outcome unknown", async () => {
    const server = await scriptedStripe(() => list(meter));
    open.push(server);
    const { reporter } = books(server.url.replace("http:", "https:"));
    expect(await reporter.report(record("5", START), "k")).toMatchObject({ kind: "unknown" });
    expect(server.seen).toEqual([]);
  });
});
