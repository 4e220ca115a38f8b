import { createHmac } from "node:crypto";
import type { Stripe } from "stripe";
import { describe, expect, it } from "vitest";
import { clientOf, control, failure, NOON, NOON_SECONDS, rawCall, withLocalStripe } from "./running-stripe.ts";
import { validateStripeAnswer } from "./stripe-schema.ts";
import { signedAtMs, startReceiver, verified, type Received } from "./webhook-receiver.ts";

const HOUR = 3_600_000;
const MINUTE = 60_000;

/** Which customers the deliveries name, in their order. */
function emails(received: readonly Received[]): readonly string[] {
  return received.map(({ body }) => (JSON.parse(body) as { data: { object: { email: string } } }).data.object.email);
}

describe("webhook endpoints", () => {
  it("[webhook_endpoint.create] [webhook.signature] send events that the genuine client verifies", async () => {
    const receiver = await startReceiver();
    await withLocalStripe({}, async ({ client, local }) => {
      const enabled: Stripe.WebhookEndpointCreateParams.EnabledEvent[] = ["customer.created", "invoice.finalized"];
      const endpoint = await client.webhookEndpoints.create({ url: receiver.url, enabled_events: enabled });
      const secret = endpoint.secret ?? "";
      expect(secret).toMatch(/^whsec_\w{32}$/);
      const customer = await client.customers.create({ email: "a@b.c", metadata: { name: "Zoë" } });
      await client.customers.update(customer.id, { name: "not sent" });
      expect(await local.deliverWebhooks()).toBe(1);
      const [delivery] = receiver.received;
      expect(receiver.received).toHaveLength(1);
      if (delivery === undefined) throw new Error("Nothing was delivered.");
      const event = verified(client, delivery, secret);
      expect(event).toMatchObject({
        type: "customer.created",
        created: NOON_SECONDS,
        data: { object: { id: customer.id } },
      });
      expect((await client.events.list({ type: "customer.created" })).data[0]?.id).toBe(event.id);
      expect(() => verified(client, delivery, "whsec_wrong")).toThrow(/No signatures found/);
      expect(() => verified(client, { ...delivery, body: `${delivery.body} ` }, secret)).toThrow(/No signatures found/);
      const late = signedAtMs(delivery.signature) + 301_000;
      expect(() =>
        client.webhooks.constructEvent(delivery.body, delivery.signature, secret, undefined, undefined, late),
      ).toThrow(/tolerance/);
      expect(local.deliveries).toMatchObject([
        { at: NOON, webhook: endpoint.id, event: event.id, attempt: 1, status: 200 },
      ]);
    });
  });

  it("[webhook.signature] puts a fake v0 beside v1 in test mode alone", async () => {
    const receiver = await startReceiver();
    for (const mode of ["test", "live"] as const) {
      await withLocalStripe({ mode }, async ({ local }) => {
        const { secret } = local.createWebhook({ url: receiver.url, events: ["*"] });
        local.createCustomer({});
        await local.deliverWebhooks();
        const delivery = receiver.received.at(-1) ?? { body: "", signature: "" };
        const hmac = createHmac("sha256", secret).update(`${NOON_SECONDS}.${delivery.body}`).digest("hex");
        expect(delivery.signature).toMatch(
          new RegExp(`^t=${NOON_SECONDS},v1=${hmac}${mode === "test" ? ",v0=[0-9a-f]{64}" : ""}$`),
        );
      });
    }
  });

  it("[webhook.secret_rolled] sign with the old secret too until it expires", async () => {
    const receiver = await startReceiver();
    await withLocalStripe({}, async ({ client, local }) => {
      const { id, secret } = local.createWebhook({ url: receiver.url, events: ["*"] });
      const rolled = local.rollSecret(id, HOUR);
      const third = await control(local, "POST webhooks/roll", { id, overlapMs: HOUR });
      expect(new Set([secret, rolled, (third as { secret: string }).secret]).size).toBe(3);
      const latest = async (): Promise<Received> => {
        local.createCustomer({});
        await local.deliverWebhooks();
        return receiver.received.at(-1) ?? { body: "", signature: "", path: "" };
      };
      const during = await latest();
      expect(during.signature.match(/v1=/g)).toHaveLength(3);
      for (const each of [secret, rolled, (third as { secret: string }).secret]) verified(client, during, each);
      local.advance(HOUR);
      const after = await latest();
      expect(() => verified(client, after, secret)).toThrow(/No signatures found/);
      verified(client, after, (third as { secret: string }).secret);
      expect(() => local.rollSecret("we_none")).toThrow(/no webhook/);
    });
  });

  it("[webhook_endpoint.list] [webhook_endpoint.retrieve] [webhook_endpoint.update] [webhook_endpoint.delete] [webhook.not_found] [webhook.unregistered] are changed and removed", async () => {
    const receiver = await startReceiver();
    await withLocalStripe({}, async ({ client, local }) => {
      const made = await client.webhookEndpoints.create({
        url: receiver.url,
        enabled_events: ["*"],
        description: "mine",
      });
      local.createWebhook({ url: receiver.url, events: ["*"], thin: true });
      expect((await client.webhookEndpoints.list()).data.map(({ id }) => id)).toEqual([made.id]);
      const known = await client.webhookEndpoints.retrieve(made.id);
      expect([known.description, known.secret, known.status]).toEqual(["mine", undefined, "enabled"]);
      local.createCustomer({});
      await client.webhookEndpoints.update(made.id, { disabled: true });
      local.createCustomer({});
      await local.deliverWebhooks();
      const updated = await client.webhookEndpoints.update(made.id, {
        disabled: false,
        enabled_events: ["customer.deleted"],
        url: `${receiver.url}/other`,
      });
      expect(updated).toMatchObject({ status: "enabled", enabled_events: ["customer.deleted"] });
      local.deleteCustomer(local.createCustomer({}).id);
      await local.deliverWebhooks();
      expect(receiver.received.filter(({ path }) => path === "/hooks/other")).toHaveLength(1);
      local.deleteCustomer(local.createCustomer({}).id);
      expect(await client.webhookEndpoints.del(made.id)).toMatchObject({ deleted: true });
      await local.deliverWebhooks();
      expect(local.deliveries.filter(({ webhook }) => webhook === made.id)).toHaveLength(1);
      expect((await failure(client.webhookEndpoints.retrieve(made.id))).code).toBe("resource_missing");
    });
  });

  it.each([
    "https://127.0.0.1/hooks",
    "http://example.com/",
    "http://127.0.0.1.example.com/",
    "http://10.0.0.1/",
    "http://169.254.169.254/",
    "http://0.0.0.0/",
    "http://localhost.example.com/",
    "ftp://127.0.0.1/",
    "nonsense",
  ])("[webhook.loopback_only] never call %s", async (url) => {
    await withLocalStripe({}, async ({ client, local }) => {
      const refused = await failure(client.webhookEndpoints.create({ url, enabled_events: ["*"] }));
      expect(refused).toMatchObject({ status: 400, code: "url_invalid", param: "url" });
      const { id } = local.createWebhook({ url: "http://localhost:1/", events: ["*"] });
      expect((await failure(client.webhookEndpoints.update(id, { url }))).code).toBe("url_invalid");
      expect(() => local.createWebhook({ url, events: ["*"] })).toThrow(/this machine only/);
    });
  });

  it("[webhook.too_many] are at most 16, and are answered as Stripe's schema describes them", async () => {
    await withLocalStripe({}, async ({ local, client }) => {
      for (let count = 0; count < 16; count += 1) local.createWebhook({ url: "http://[::1]:1/", events: ["*"] });
      const refused = await failure(
        client.webhookEndpoints.create({ url: "http://127.0.0.1:1/", enabled_events: ["*"] }),
      );
      expect(refused.message).toContain("maximum of 16");
      const answer = await rawCall(local, "GET", "/v1/webhook_endpoints");
      expect(validateStripeAnswer("GET", "/v1/webhook_endpoints", JSON.parse(answer.body)).kind).not.toBe("invalid");
    });
  });
});

describe("deliveries", () => {
  it("[webhook.retries] [webhook.retry_times] are tried again after what is no 2xx, in test mode three times", async () => {
    const receiver = await startReceiver();
    receiver.answers.push(500, 301, 404, 400);
    await withLocalStripe({}, async ({ local, client }) => {
      const { secret } = local.createWebhook({ url: receiver.url, events: ["*"] });
      local.createCustomer({});
      for (const pauseMs of [0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 12 * HOUR, 100 * HOUR]) {
        local.advance(pauseMs);
        await local.deliverWebhooks();
      }
      expect(local.deliveries.map(({ attempt, status }) => [attempt, status])).toEqual([
        [1, 500],
        [2, 301],
        [3, 404],
        [4, 400],
      ]);
      expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
      expect(new Set(receiver.received.map(({ signature }) => signature)).size).toBe(4);
      for (const delivery of receiver.received) verified(client, delivery, secret);
    });
  });

  it("[webhook.retries] go on for three days in live mode, and end with the first 2xx", async () => {
    const receiver = await startReceiver();
    receiver.answers.push(...Array.from({ length: 20 }, () => 503));
    await withLocalStripe({ mode: "live" }, async ({ local }) => {
      local.createWebhook({ url: receiver.url, events: ["*"] });
      local.createCustomer({});
      const hours: number[] = [];
      for (let minute = 0; minute <= 100 * 60; minute += 5) {
        const tried = await local.deliverWebhooks();
        if (tried > 0) hours.push(Math.floor(minute / 60));
        local.advance(5 * MINUTE);
      }
      expect(hours).toEqual([0, 0, 0, 2, 7, 17, 29, 41, 53, 65]);
      receiver.answers.length = 0;
      receiver.answers.push(500, 200, 500);
      local.createCustomer({});
      for (const pauseMs of [0, HOUR, HOUR, HOUR]) {
        local.advance(pauseMs);
        await local.deliverWebhooks();
      }
      expect(local.deliveries.slice(10).map(({ status }) => status)).toEqual([500, 200]);
    });
  });

  it("[webhook.at_least_once] arrive more than once on order", async () => {
    const receiver = await startReceiver();
    await withLocalStripe({ webhooks: { duplicates: 2 } }, async ({ local, client }) => {
      const { secret } = local.createWebhook({ url: receiver.url, events: ["*"] });
      local.createCustomer({ email: "a" });
      expect(await local.deliverWebhooks()).toBe(3);
      expect(new Set(receiver.received.map((delivery) => verified(client, delivery, secret).id)).size).toBe(1);
      local.disturbWebhooks({ duplicates: 0 });
      local.createCustomer({ email: "b" });
      await local.deliverWebhooks();
      expect(emails(receiver.received)).toEqual(["a", "a", "a", "b"]);
    });
  });

  it("[webhook.order] arrive in their order, newest first or late on order", async () => {
    const receiver = await startReceiver();
    await withLocalStripe({}, async ({ local }) => {
      local.createWebhook({ url: receiver.url, events: ["*"] });
      for (const email of ["a", "b", "c"]) local.createCustomer({ email });
      await local.deliverWebhooks();
      await control(local, "POST webhooks", { newestFirst: true });
      for (const email of ["d", "e", "f"]) local.createCustomer({ email });
      await local.deliverWebhooks();
      expect(emails(receiver.received)).toEqual(["a", "b", "c", "f", "e", "d"]);
      await control(local, "POST webhooks", { newestFirst: false, delayMs: MINUTE });
      local.createCustomer({ email: "late" });
      local.disturbWebhooks({ delayMs: 0 });
      local.createCustomer({ email: "early" });
      expect(await local.deliverWebhooks()).toBe(1);
      local.advance(MINUTE);
      expect(await control(local, "POST webhooks/deliver")).toEqual({ attempts: 1 });
      expect(emails(receiver.received.slice(6))).toEqual(["early", "late"]);
      expect(await control(local, "GET deliveries")).toEqual(local.deliveries);
    });
  });

  it("lead to further ones, which one run tries as well, and a receiver that closes is no answer", async () => {
    const receiver = await startReceiver();
    await withLocalStripe({}, async ({ local }) => {
      const { id } = local.createWebhook({ url: receiver.url, events: ["customer.created", "customer.updated"] });
      receiver.during = async ({ body }) => {
        const event = JSON.parse(body) as Stripe.CustomerCreatedEvent;
        if (event.type === "customer.created") {
          await clientOf(local).customers.update(event.data.object.id, { name: "seen" });
        }
      };
      local.createCustomer({});
      expect(await Promise.all([local.deliverWebhooks(), local.deliverWebhooks()])).toEqual([2, 0]);
      expect(local.deliveries.map(({ type }) => type)).toEqual(["customer.created", "customer.updated"]);
      receiver.during = async () => undefined;
      local.createWebhook({ url: "http://127.0.0.1:9/", events: ["customer.deleted"] });
      local.deleteCustomer(local.createCustomer({}).id);
      await local.deliverWebhooks();
      expect(local.deliveries.filter(({ webhook }) => webhook !== id).map(({ status }) => status)).toEqual([null]);
    });
  });

  it("end with the local Stripe, the one that hangs too", async () => {
    const receiver = await startReceiver();
    receiver.answers.push("hang");
    const asked = new Promise<void>((resolve) => {
      receiver.during = async () => resolve();
    });
    await withLocalStripe({}, async ({ local }) => {
      local.createWebhook({ url: receiver.url, events: ["*"] });
      local.createCustomer({});
      const running = local.deliverWebhooks();
      await asked;
      await local.close();
      expect(await running).toBe(1);
    });
  });
});
