import { describe, expect, it } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import { stripeWebhooks, type StripeWebhooks, type StripeWebhooksOptions } from "../../src/stripe/stripe-webhooks.ts";
import type { LocalStripeOptions } from "../../src/testing/local-stripe/local-stripe.ts";
import { manualClock } from "../../src/testing/manual-clock.ts";
import { decimal, HOUR, MINUTE, START } from "../engine/world.ts";
import { local, open, type Books } from "./books.ts";
import { list, meter, refusal, scriptedStripe, type Script } from "./scripted-stripe.ts";
import { signedCall, webhookReceiver, type Receiver } from "./webhook-receiver.ts";

const SECRET = "whsec_testtesttest";

function reading(apiBase: string, changes: Partial<StripeWebhooksOptions> = {}): StripeWebhooks {
  return stripeWebhooks({
    apiKey: "sk_test_local",
    mode: "test",
    apiBase,
    companyIdAt: { kind: "metadata", key: "company_id" },
    clock: manualClock(START),
    secrets: [SECRET],
    onSkewed: () => undefined,
    ...changes,
  });
}

/** No Stripe answers: what is read needs none. */
const alone = (changes: Partial<StripeWebhooksOptions> = {}): StripeWebhooks => reading("http://127.0.0.1:9", changes);

async function listening(
  options: LocalStripeOptions = {},
): Promise<Books & Awaited<ReturnType<typeof local>> & { receiver: Receiver }> {
  const receiver = await webhookReceiver();
  open.push(receiver);
  return { ...(await local(options)), receiver };
}

const readAll = async (webhooks: StripeWebhooks, { calls }: Receiver) =>
  Promise.all(calls.map(({ body, signature }) => webhooks.read(body, signature)));

const customerEvent = (changes: object = {}, type = "customer.created") => ({
  id: "evt_1",
  object: "event",
  type,
  livemode: false,
  data: { object: { id: "cus_1", object: "customer", metadata: { company_id: "acme" } } },
  ...changes,
});

describe("customers", () => {
  it("are told of as they are made, changed and deleted", async () => {
    const { stripe, clock, receiver } = await listening();
    const { secret } = stripe.createWebhook({
      url: receiver.url,
      events: ["customer.created", "customer.updated", "customer.deleted"],
    });
    const { id } = stripe.createCustomer({ metadata: { company_id: "globex" } });
    await fetch(`${stripe.url}/v1/customers/${id}`, {
      method: "POST",
      headers: { authorization: "Bearer sk_test_local", "content-type": "application/x-www-form-urlencoded" },
      body: "metadata[company_id]=initech",
    });
    stripe.deleteCustomer(id);
    await stripe.deliverWebhooks();
    const notices = await readAll(reading(stripe.url, { clock, secrets: [secret] }), receiver);
    const told = { kind: "customer", customer: id, id: expect.stringMatching(/^evt_/) };
    expect(notices).toMatchObject([
      { ...told, change: "created", company: "globex", formerCompany: null },
      { ...told, change: "updated", company: "initech" },
      { ...told, change: "deleted", company: "initech", formerCompany: null },
    ]);
  });

  it.each([
    ["another name only", { name: "Acme" }, null],
    ["the company taken away", { metadata: { company_id: "acme" } }, "acme"],
    ["a company given", { metadata: { company_id: null } }, null],
  ])("%s", async (_what, previous_attributes, formerCompany) => {
    const company = formerCompany === null ? "acme" : null;
    const object = { id: "cus_1", metadata: company === null ? {} : { company_id: company } };
    const { body, signature } = signedCall(
      customerEvent({ data: { object, previous_attributes } }, "customer.updated"),
      SECRET,
      START,
    );
    expect(await alone().read(body, signature)).toMatchObject({ kind: "customer", company, formerCompany });
  });

  it("are companies themselves where the mapping says so", async () => {
    const { body, signature } = signedCall(customerEvent(), SECRET, START);
    const webhooks = alone({ companyIdAt: { kind: "customerId" } });
    expect(await webhooks.read(body, signature)).toMatchObject({ company: "cus_1", formerCompany: null });
  });
});

describe("what is of no use is ignored", () => {
  it.each([
    ["another type", customerEvent({}, "invoice.paid")],
    ["another mode", customerEvent({ livemode: true })],
    ["a connected account", customerEvent({ account: "acct_other" })],
    ["another thin type", { id: "evt_1", object: "v2.core.event", type: "v1.billing.meter.created", livemode: false }],
    [
      "a thin event of another mode",
      { id: "evt_1", object: "v2.core.event", type: "v1.billing.meter.no_meter_found", livemode: true },
    ],
  ])("%s", async (_what, event) => {
    const { body, signature } = signedCall(event, SECRET, START);
    expect(await alone().read(body, signature)).toMatchObject({ kind: "ignored", id: "evt_1" });
  });
});

describe("signatures", () => {
  const { body, signature } = signedCall(customerEvent(), SECRET, START);
  const [time = "", v1 = ""] = signature.split(",");
  const changed = Buffer.from(body.toString().replace("acme", "acmE"));

  it.each([
    ["a changed byte", changed, signature],
    ["another secret", ...Object.values(signedCall(customerEvent(), "whsec_other", START))],
    ["no header", body, ""],
    ["no signature in it", body, time],
    ["no time in it", body, v1],
    ["a v0 signature only", body, `${time},${v1.replace("v1", "v0")}`],
    ["a newer time on an old signature", body, signature.replace(/t=\d+/, `t=${START / 1_000 + 1}`)],
    ["a header of another kind", body, "Bearer x"],
    ["an empty body", new Uint8Array(), signature],
  ] as [string, Uint8Array, string][])("%s is refused", async (_what, bytes, header) => {
    const notice = await alone().read(bytes, header);
    expect(notice).toMatchObject({ kind: "refused", reason: expect.stringMatching(/./) });
    expect(JSON.stringify(notice)).not.toContain("testtest");
  });

  it.each([
    [0, "customer"],
    [limits.webhookAgeMaxMs, "customer"],
    [limits.webhookAgeMaxMs + 1_000, "refused"],
    [-MINUTE, "customer"],
  ])("%i ms old by our clock: %s", async (ageMs, kind) => {
    const webhooks = alone({ clock: manualClock(START + ageMs) });
    expect(await webhooks.read(body, signature)).toMatchObject({ kind });
  });

  it("fit any of several secrets; without one nothing is believed", async () => {
    expect(await alone({ secrets: ["whsec_old", SECRET] }).read(body, signature)).toMatchObject({ kind: "customer" });
    expect(await alone({ secrets: [] }).read(body, signature)).toMatchObject({ kind: "refused" });
  });

  it("of a secret that is rolled come twice, and either secret reads them", async () => {
    const { stripe, clock, receiver } = await listening();
    const webhook = stripe.createWebhook({ url: receiver.url, events: ["customer.created"] });
    const next = stripe.rollSecret(webhook.id);
    stripe.createCustomer({ metadata: { company_id: "globex" } });
    await stripe.deliverWebhooks();
    expect(receiver.calls[0]?.signature.match(/v1=/g)).toHaveLength(2);
    for (const secret of [webhook.secret, next]) {
      const notices = await readAll(reading(stripe.url, { clock, secrets: [secret] }), receiver);
      expect(notices).toMatchObject([{ kind: "customer", company: "globex" }]);
    }
  });

  it.each([
    "[]",
    "null",
    "7",
    '"x"',
    "{}",
    "{",
    "",
    '{"id":7,"type":"customer.created"}',
    '{"object":"v2.core.event"}',
    "\u0000",
    '{"id":"evt_1","object":"event","type":"customer.created","livemode":false}',
  ])("of the body %j are no event", async (text) => {
    const call = signedCall(text, SECRET, START);
    expect(await alone().read(call.body, call.signature)).toMatchObject({ kind: "refused" });
  });
});

const record = (identifier: string) => ({
  meter: "chat_tokens",
  reportAs: "chat_tokens",
  company: "acme",
  customer: "cus_acme",
  windowStart: START - HOUR,
  windowEnd: START,
  sequence: 0,
  value: decimal("5"),
  timestamp: START - HOUR,
  identifier,
});

async function fetching(script: Script): Promise<StripeWebhooks> {
  const server = await scriptedStripe((request, response) =>
    request.path === "/v1/billing/meters" ? list(meter) : script(request, response),
  );
  open.push(server);
  return reading(server.url);
}

describe("error reports", () => {
  it.each(["identifier", "idempotency_key"] as const)("are fetched, and name reports by %s", async (names) => {
    const { stripe, reporter, clock, receiver } = await listening({ errorSampleNames: names, errorSamplesMax: 2 });
    const webhook = stripe.createWebhook({
      url: receiver.url,
      events: ["v1.billing.meter.error_report_triggered"],
      thin: true,
    });
    stripe.failNext({ kind: "reject_later", code: "meter_event_customer_not_found", times: 3 });
    for (const identifier of ["mb1_a", "mb1_b", "mb1_c"]) await reporter.report(record(identifier), `${identifier}.0`);
    clock.advance(MINUTE);
    await stripe.deliverWebhooks();
    const notices = await readAll(reading(stripe.url, { clock, secrets: [webhook.secret] }), receiver);
    const suffix = names === "identifier" ? "" : ".0";
    const sample = { code: "meter_event_customer_not_found", message: expect.stringMatching(/./) };
    expect(notices).toEqual([
      {
        kind: "rejection",
        id: expect.stringMatching(/^evt_/),
        reportAs: "chat_tokens",
        from: START,
        to: START + 10_000,
        errorCount: 3,
        samples: ["mb1_a", "mb1_b"].map((identifier) => ({ ...sample, identifier: `${identifier}${suffix}` })),
      },
    ]);
  });

  it("of no meter name none", async () => {
    const { stripe, reporter, clock, receiver } = await listening({ validateLater: true });
    const webhook = stripe.createWebhook({ url: receiver.url, events: ["*"], thin: true });
    await reporter.report({ ...record("mb1_a"), reportAs: "gone" }, "mb1_a.0");
    clock.advance(MINUTE);
    await stripe.deliverWebhooks();
    const notices = await readAll(reading(stripe.url, { clock, secrets: [webhook.secret] }), receiver);
    expect(notices).toMatchObject([
      { kind: "rejection", reportAs: null, errorCount: 1, samples: [{ identifier: "mb1_a" }] },
    ]);
  });

  const thin = {
    id: "evt_1",
    object: "v2.core.event",
    type: "v1.billing.meter.error_report_triggered",
    livemode: false,
  };
  const call = signedCall(thin, SECRET, START);
  it.each([
    ["Stripe is down", refusal(500, "oops"), "METER_STRIPE_UNREACHABLE"],
    ["the key may not read events", refusal(403, "Having the 'rak_event_read' permission"), "METER_STRIPE_REFUSED"],
    ["the event is not there yet", refusal(404, "No such event"), "METER_STRIPE_UNREACHABLE"],
  ])("have to be sent again when %s", async (_why, answer, code) => {
    const webhooks = await fetching(() => answer);
    await expect(webhooks.read(call.body, call.signature)).rejects.toMatchObject({ code });
  });

  const told = (data: unknown) => ({ body: { ...thin, data } });
  const window = { validation_start: "2026-11-22T10:00:00.000Z", validation_end: "2026-11-22T10:00:10Z" };

  it.each([
    ["nothing", {}],
    ["no data", told(null)],
    ["no times", told({ reason: { error_count: 1, error_types: [] } })],
    ["a list", told([])],
  ])("that hold %s say nothing", async (_what, answer) => {
    const webhooks = await fetching(() => ("body" in answer ? answer : { body: answer }));
    expect(await webhooks.read(call.body, call.signature)).toMatchObject({ kind: "ignored" });
  });

  it.each([
    ["no samples", { error_count: 4, error_types: [{ code: "x", error_count: 4 }] }, 4, 0],
    ["samples without a name", { error_count: 1, error_types: [{ sample_errors: [{ request: {} }, null, 7] }] }, 1, 0],
    ["no count", { error_types: [{ sample_errors: [{ request: { identifier: "a" } }] }] }, 1, 1],
    ["types that are none", { error_count: 2, error_types: [null, "x", { code: 7, sample_errors: "x" }] }, 2, 0],
  ])("with %s are taken as far as they go", async (_what, reason, errorCount, samples) => {
    const webhooks = await fetching(() => told({ ...window, reason }));
    const notice = await webhooks.read(call.body, call.signature);
    expect(notice).toMatchObject({ kind: "rejection", reportAs: null, from: START, to: START + 10_000, errorCount });
    expect(notice.kind === "rejection" ? notice.samples : null).toHaveLength(samples);
  });
});

it("asks Stripe for nothing while a call is not signed", async () => {
  const server = await scriptedStripe(() => list(meter));
  open.push(server);
  const forged = signedCall(
    { id: "evt_1", object: "v2.core.event", type: "v1.billing.meter.no_meter_found" },
    "whsec_x",
    START,
  );
  expect(await reading(server.url).read(forged.body, forged.signature)).toMatchObject({ kind: "refused" });
  expect(server.seen).toEqual([]);
});
