import type { Stripe } from "stripe";
import { describe, expect, it } from "vitest";
import { failure, NOON, NOON_SECONDS, rawCall, seeded, withLocalStripe } from "./running-stripe.ts";
import { validateStripeAnswer } from "./stripe-schema.ts";
import { signedAtMs, startReceiver, verified, type Received } from "./webhook-receiver.ts";

const REPORT = "v1.billing.meter.error_report_triggered";
const NO_METER = "v1.billing.meter.no_meter_found";

/** Verifies a thin event with the genuine client. */
function notified(client: Stripe, received: Received | undefined, secret: string): Stripe.V2.Core.EventNotification {
  if (received === undefined) throw new Error("Nothing was delivered.");
  const { body, signature } = received;
  return client.parseEventNotification(body, signature, secret, undefined, undefined, signedAtMs(signature));
}

/** The reports that a client finds, oldest first. */
async function reports(client: Stripe): Promise<readonly Stripe.Events.V1BillingMeterErrorReportTriggeredEvent[]> {
  const found: Stripe.Events.V1BillingMeterErrorReportTriggeredEvent[] = [];
  for await (const event of client.v2.core.events.list({ types: [REPORT] })) {
    if (event.type === REPORT) found.unshift(event);
  }
  return found;
}

describe("event destinations", () => {
  it("[event_destination.create] [event_destination.redacted] [event_destination.retrieve] [event_destination.list] are made by the genuine client, their secret shown on order", async () => {
    const receiver = await startReceiver();
    await withLocalStripe({}, async ({ client, local }) => {
      const made = await client.v2.core.eventDestinations.create({
        name: "mine",
        type: "webhook_endpoint",
        event_payload: "thin",
        enabled_events: [REPORT, NO_METER],
        webhook_endpoint: { url: receiver.url },
        include: ["webhook_endpoint.signing_secret"],
      });
      expect(made).toMatchObject({
        name: "mine",
        status: "enabled",
        event_payload: "thin",
        enabled_events: [REPORT, NO_METER],
      });
      expect(made.webhook_endpoint).toEqual({ signing_secret: expect.stringMatching(/^whsec_/) });
      expect((await client.v2.core.eventDestinations.retrieve(made.id)).webhook_endpoint).toEqual({});
      const [listed] = (await client.v2.core.eventDestinations.list({ include: ["webhook_endpoint.url"] })).data;
      expect([listed?.id, listed?.webhook_endpoint]).toEqual([made.id, { url: receiver.url }]);
      const answer = await rawCall(local, "GET", `/v2/core/event_destinations/${made.id}`);
      const verdict = validateStripeAnswer("GET", `/v2/core/event_destinations/${made.id}`, JSON.parse(answer.body));
      expect(verdict.kind === "invalid" ? verdict : "fits").toBe("fits");
    });
  });

  it("[event_destination.ping] [event_destination.switch] [event_destination.delete] are tried, switched and deleted", async () => {
    const receiver = await startReceiver();
    await withLocalStripe({}, async ({ client, local }) => {
      const { id, secret } = local.createWebhook({ url: receiver.url, events: ["*"], thin: true });
      const { eventDestinations } = client.v2.core;
      const ping = await eventDestinations.ping(id);
      await local.deliverWebhooks();
      const notification = notified(client, receiver.received[0], secret);
      expect([notification.id, notification.type]).toEqual([ping.id, "v2.core.event_destination.ping"]);
      expect(await notification.fetchEvent()).toMatchObject({ related_object: { id } });
      expect((await eventDestinations.disable(id)).status).toBe("disabled");
      await eventDestinations.ping(id);
      expect((await eventDestinations.enable(id)).status).toBe("enabled");
      expect(await local.deliverWebhooks()).toBe(0);
      expect((await eventDestinations.del(id)).id).toBe(id);
      expect((await failure(eventDestinations.retrieve(id))).status).toBe(404);
    });
  });

  it("[thin_event.twin] send thin twins of snapshot events, and snapshots on order", async () => {
    const [thin, whole] = [await startReceiver(), await startReceiver()];
    await withLocalStripe({}, async ({ client, local }) => {
      const destination = local.createWebhook({ url: thin.url, events: ["v1.customer.updated"], thin: true });
      const snapshot = await client.v2.core.eventDestinations.create({
        name: "whole",
        type: "webhook_endpoint",
        event_payload: "snapshot",
        enabled_events: ["customer.updated"],
        webhook_endpoint: { url: whole.url },
        include: ["webhook_endpoint.signing_secret"],
      });
      const customer = await client.customers.create({});
      await client.customers.update(customer.id, { name: "new" });
      await local.deliverWebhooks();
      const event = verified(
        client,
        whole.received[0] ?? { body: "", signature: "", path: "" },
        snapshot.webhook_endpoint?.signing_secret ?? "",
      );
      const notification = notified(client, thin.received[0], destination.secret);
      expect(notification).toMatchObject({
        type: "v1.customer.updated",
        snapshot_event: event.id,
        related_object: { id: customer.id },
      });
      if (notification.type !== "v1.customer.updated") throw new Error("Another event was sent.");
      expect(await notification.fetchRelatedObject()).toMatchObject({ id: customer.id, name: "new" });
      expect([thin.received.length, whole.received.length]).toEqual([1, 1]);
    });
  });
});

describe("asynchronous validation", () => {
  it("[validation.later] [validation.moment] [validation.identifier_taken] takes all with a 200 and judges after the summary lag", async () => {
    await withLocalStripe({ validateLater: true, summaryLagMs: 60_000 }, async (running) => {
      const { client, local } = running;
      const { customer, meter, send } = seeded(running);
      await send("3", { identifier: "good" });
      await send("x", { identifier: "bad" });
      await send("4", { identifier: "cancelled" });
      await send("5", { identifier: "old", timestamp: NOON_SECONDS - 35 * 86_400 });
      await client.billing.meterEventAdjustments.create({
        event_name: "tokens",
        type: "cancel",
        cancel: { identifier: "cancelled" },
      });
      expect(local.ledger()).toEqual([]);
      expect((await failure(send("3", { identifier: "good" }))).message).toContain("already exists");
      local.advance(59_999);
      expect(local.total("tokens", customer)).toBe("0");
      local.advance(1);
      expect(local.ledger().flatMap(({ identifiers }) => identifiers)).toEqual(["old", "good"]);
      const summaries = await client.billing.meters.listEventSummaries(meter, {
        customer,
        start_time: NOON_SECONDS,
        end_time: NOON_SECONDS + 60,
      });
      expect(summaries.data[0]?.aggregated_value).toBe(3);
      expect((await failure(send("1", { identifier: "bad" }))).message).toContain("already exists");
    });
  });

  it("[validation.moment] refuses what lost its customer or its meter meanwhile", async () => {
    await withLocalStripe({ validateLater: true, summaryLagMs: 60_000 }, async (running) => {
      const { client, local } = running;
      const { customer, send } = seeded(running);
      const other = local.createCustomer({}).id;
      const payload = { stripe_customer_id: other, value: "7" };
      await send("3", { identifier: "gone" });
      await client.billing.meterEvents.create({ event_name: "tokens", payload, identifier: "stays" });
      local.deleteCustomer(customer);
      local.advance(60_000);
      await client.billing.meterEvents.create({ event_name: "tokens", payload, identifier: "off" });
      local.deactivateMeter("tokens");
      local.advance(60_000);
      local.reactivateMeter("tokens");
      local.advance(10_000);
      expect(local.ledger().flatMap(({ identifiers }) => identifiers)).toEqual(["stays"]);
      const kinds = (await reports(client)).flatMap(({ data }) => data.reason.error_types);
      expect(kinds.map(({ code, sample_errors: samples }) => [code, samples[0]?.request.identifier])).toEqual([
        ["meter_event_customer_not_found", "gone"],
        ["archived_meter", "off"],
      ]);
    });
  });

  it("[validation.report] [validation.report_data] [validation.windows] [thin_event.retrieve] reports by meter and 10 seconds, to be fetched", async () => {
    const receiver = await startReceiver();
    await withLocalStripe({ validateLater: true, summaryLagMs: 2_000 }, async (running) => {
      const { client, local } = running;
      const { meter, send } = seeded(running);
      const { secret } = local.createWebhook({ url: receiver.url, events: [REPORT], thin: true });
      local.advance(5_500);
      await send("x", { identifier: "a" });
      await send("y", { identifier: "b" });
      await send("1234567890123456", { identifier: "c" });
      local.advance(4_499);
      await local.deliverWebhooks();
      expect(receiver.received).toEqual([]);
      local.advance(1);
      await local.deliverWebhooks();
      const notification = notified(client, receiver.received[0], secret);
      expect("data" in notification).toBe(false);
      if (notification.type !== REPORT) throw new Error("Another event was sent.");
      expect(notification.related_object).toEqual({
        id: meter,
        type: "billing.meter",
        url: `/v1/billing/meters/${meter}`,
      });
      expect((await notification.fetchRelatedObject()).event_name).toBe("tokens");
      const event = await notification.fetchEvent();
      expect(event.created).toBe(new Date(NOON + 10_000).toISOString());
      expect(event.data).toEqual({
        developer_message_summary: "There are 3 invalid events",
        validation_start: new Date(NOON).toISOString(),
        validation_end: new Date(NOON + 10_000).toISOString(),
        reason: {
          error_count: 3,
          error_types: [
            { code: "meter_event_invalid_value", error_count: 2, sample_errors: [sample("a"), sample("b")] },
            { code: "meter_event_value_too_many_digits", error_count: 1, sample_errors: [sample("c")] },
          ],
        },
      });
    });
  });

  it("[validation.samples] names samples only, by identifier or by Idempotency-Key", async () => {
    for (const errorSampleNames of ["identifier", "idempotency_key"] as const) {
      await withLocalStripe({ validateLater: true, errorSamplesMax: 2, errorSampleNames }, async (running) => {
        const { client, local } = running;
        const { send } = seeded(running);
        for (const name of ["a", "b", "c"]) await send("x", { identifier: name, idempotencyKey: `key-${name}` });
        local.advance(10_000);
        const [kind] = (await reports(client))[0]?.data.reason.error_types ?? [];
        expect([kind?.error_count, kind?.sample_errors.map(({ request }) => request.identifier)]).toEqual([
          3,
          errorSampleNames === "identifier" ? ["a", "b"] : ["key-a", "key-b"],
        ]);
      });
    }
  });

  it("[validation.no_meter_found] reports events without a meter apart", async () => {
    const receiver = await startReceiver();
    await withLocalStripe({ validateLater: true }, async ({ client, local }) => {
      const { secret } = local.createWebhook({ url: receiver.url, events: [NO_METER], thin: true });
      await client.billing.meterEvents.create({ event_name: "nothing", payload: { value: "1" }, identifier: "a" });
      local.advance(10_000);
      await local.deliverWebhooks();
      const notification = notified(client, receiver.received[0], secret);
      expect([notification.type, "related_object" in notification && notification.related_object]).toEqual([
        NO_METER,
        null,
      ]);
      const event = await notification.fetchEvent();
      expect(event).toMatchObject({ data: { reason: { error_count: 1, error_types: [{ code: "no_meter" }] } } });
      expect(local.ledger()).toEqual([]);
    });
  });

  it("[fault.reject_later] refuses single events on order, with the code that was ordered", async () => {
    await withLocalStripe({ summaryLagMs: 30_000 }, async (running) => {
      const { client, local } = running;
      const { customer, send } = seeded(running);
      local.failNext({ kind: "reject_later", code: "timestamp_too_far_in_past", skip: 1 });
      await send("1", { identifier: "first" });
      await send("2", { identifier: "second" });
      await send("4", { identifier: "third" });
      expect(local.total("tokens", customer)).toBe("5");
      local.advance(40_000);
      expect(local.total("tokens", customer)).toBe("5");
      expect((await reports(client)).map(({ data }) => data.reason.error_types)).toMatchObject([
        [{ code: "timestamp_too_far_in_past", error_count: 1, sample_errors: [{ request: { identifier: "second" } }] }],
      ]);
      expect(() => local.failNext({ kind: "reject_later", code: "nonsense" as "no_meter" })).toThrow(/Not a fault/);
    });
  });

  it("[thin_event.list] [thin_event.not_found] can be listed by pages for 30 days", async () => {
    await withLocalStripe({ validateLater: true }, async (running) => {
      const { client, local } = running;
      const { meter, send } = seeded(running);
      for (let count = 0; count < 5; count += 1) {
        await send("x");
        local.advance(10_000);
      }
      const paged: string[] = [];
      for await (const { id } of client.v2.core.events.list({
        limit: 2,
        types: [REPORT, NO_METER],
        object_id: meter,
      })) {
        paged.push(id);
      }
      expect(new Set(paged).size).toBe(5);
      expect(paged).toEqual(paged.toSorted().toReversed());
      expect((await client.v2.core.events.list({ types: [NO_METER] })).data).toEqual([]);
      expect((await client.v2.core.events.list({ object_id: "mtr_none" })).data).toEqual([]);
      expect((await failure(client.v2.core.events.retrieve("evt_none"))).status).toBe(404);
      local.advance(30 * 86_400_000 + 10_000);
      expect((await failure(client.v2.core.events.retrieve(paged[0] ?? ""))).code).toBe("not_found");
    });
  });
});

function sample(identifier: string): object {
  return {
    error_message: expect.stringMatching(/^The value (of 'value'|in the event payload)/),
    request: { identifier },
  };
}
