import * as fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import { memoryStore } from "../../src/memory/memory-store.ts";
import type { Notice } from "../../src/runtime/notice.ts";
import type { WebhookReply } from "../../src/runtime/messages.ts";
import { webhookTaker } from "../../src/runtime/take-webhook.ts";
import { stripeWebhooks } from "../../src/stripe/stripe-webhooks.ts";
import { manualClock } from "../../src/testing/manual-clock.ts";
import { HOUR, START } from "../engine/world.ts";
import { list, meter, scriptedStripe, type ScriptedStripe } from "../stripe/scripted-stripe.ts";
import { signedCall } from "../stripe/webhook-receiver.ts";
import { answersInTime, fuzzed, NAMES, sentences } from "./hostile-input.ts";

const SECRET = "whsec_testtesttest";

/** What Stripe answers when it is asked for a thin event. */
let fetched: unknown = {};
let stripe: ScriptedStripe;
beforeAll(async () => {
  stripe = await scriptedStripe(({ path }) => (path.startsWith("/v1/") ? list(meter) : { body: fetched }));
});
afterAll(() => stripe.close());

/** Takes a call as the worker does, into a store of its own. */
async function taken(body: Uint8Array, signature: string): Promise<{ reply: WebhookReply; codes: readonly string[] }> {
  const clock = manualClock(START);
  const companyIdAt = { kind: "metadata", key: "company_id" } as const;
  const connection = { apiKey: "sk_test_local", mode: "test", apiBase: stripe.url, clock } as const;
  const webhooks = stripeWebhooks({ ...connection, companyIdAt, secrets: [SECRET], onSkewed: () => undefined });
  const notices: Notice[] = [];
  const take = webhookTaker({ clock, onNotice: (notice) => void notices.push(notice) });
  const reply = await take({ store: memoryStore({ bucketMs: 60_000 }), webhooks }, { body, signature });
  return { reply, codes: notices.map(({ code }) => code) };
}

const anything = fc.oneof(
  fc.constantFrom(null, "", 0, -1, 1e308, true, [], {}, "acme", "cus_1", START / 1_000, "2026-11-22T10:00:00Z"),
  fc.jsonValue({ maxDepth: 3 }),
);

/** An object that mostly has the right members, some of them wrong, some missing. */
function nearly(members: Readonly<Record<string, unknown>>): fc.Arbitrary<object> {
  const arbitraries = Object.entries(members).map(([name, value]): [string, fc.Arbitrary<unknown>] => [
    name,
    fc.oneof(
      { weight: 12, arbitrary: isArbitrary(value) ? value : fc.constant(value) },
      { weight: 1, arbitrary: anything },
    ),
  ]);
  return fc
    .tuple(fc.record(Object.fromEntries(arbitraries), { requiredKeys: [] }), fc.record(Object.fromEntries(arbitraries)))
    .chain(([some, all]) => fc.constantFrom(all, all, all, some));
}

function isArbitrary(value: unknown): value is fc.Arbitrary<unknown> {
  return value instanceof fc.Arbitrary;
}

const name = fc.constantFrom("acme", "", ...NAMES);
const customer = nearly({ id: "cus_1", object: "customer", metadata: nearly({ company_id: name }) });
const customerEvent = nearly({
  id: "evt_1",
  object: "event",
  type: fc.constantFrom("customer.created", "customer.updated", "customer.deleted", "invoice.paid"),
  livemode: false,
  data: nearly({ object: customer, previous_attributes: nearly({ metadata: nearly({ company_id: name }) }) }),
});
const thinEvent = nearly({
  id: "evt_1",
  object: "v2.core.event",
  context: fc.constantFrom(null, "acct_1", "a/b"),
  type: fc.constantFrom("v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found"),
  livemode: false,
  related_object: nearly({ id: "mtr_1", type: "billing.meter", url: "/v1/billing/meters/mtr_1" }),
});
const sample = nearly({ error_message: "m", request: nearly({ identifier: fc.constantFrom("mb_1", "mb_1.0", "") }) });
const report = nearly({
  id: "evt_1",
  object: "v2.core.event",
  type: "v1.billing.meter.error_report_triggered",
  related_object: nearly({ id: "mtr_1" }),
  data: nearly({
    reason: nearly({
      error_count: 3,
      error_types: fc.array(
        nearly({ code: "no_meter", error_count: 2, sample_errors: fc.array(sample, { maxLength: 3 }) }),
        {
          maxLength: 3,
        },
      ),
    }),
    validation_start: "2026-11-22T09:00:00Z",
    validation_end: fc.constantFrom("2026-11-22T09:00:10Z", "9999-99-99", "-271821-04-20T00:00:00Z", START / 1_000),
  }),
});
const words = [
  '{"',
  '":',
  "}",
  "[",
  "]",
  ",",
  '"',
  "\\u0000",
  "null",
  "1e999",
  "id",
  "type",
  "object",
  "data",
  ...NAMES,
];
const text = fc.oneof(
  { weight: 6, arbitrary: fc.oneof(customerEvent, thinEvent).map((event) => JSON.stringify(event)) },
  { weight: 2, arbitrary: sentences(words) },
  { weight: 1, arbitrary: fc.json({ maxDepth: 3 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("[".repeat(100_000), `{"id":"evt_1","data":${"[".repeat(9_000)}${"]".repeat(9_000)}}`),
  },
);

it("answers whatever Stripe signs: it is taken, of no use or no event, and never breaks", async () => {
  const statuses = new Set<number>();
  await fc.assert(
    fc.asyncProperty(text, report, async (body, answer) => {
      fetched = answer;
      const call = signedCall(body, SECRET, START);
      await answersInTime(async () => {
        const { reply, codes } = await taken(call.body, call.signature);
        expect([200, 400]).toContain(reply.status);
        expect(codes.filter((code) => code !== "METER_STRIPE_REJECTED")).toEqual(
          reply.status === 400 ? ["METER_WEBHOOK_REFUSED"] : [],
        );
        statuses.add(reply.status);
      });
    }),
    fuzzed(600),
  );
  expect(statuses).toEqual(new Set([200, 400]));
  expect(Reflect.has({}, "company_id")).toBe(false);
}, 120_000);

it("refuses whatever header does not sign the body, and asks Stripe for nothing", async () => {
  const event = JSON.stringify({
    id: "evt_1",
    object: "v2.core.event",
    type: "v1.billing.meter.no_meter_found",
    livemode: false,
  });
  const { body, signature } = signedCall(event, SECRET, START);
  const old = signedCall(event, SECRET, START - limits.webhookAgeMaxMs - HOUR).signature;
  const [time = "", proof = ""] = signature.split(",");
  const headers = sentences(
    [
      "t=",
      "v1=",
      "v0=",
      ",",
      "=",
      time,
      proof.slice(0, -1),
      old,
      String(START),
      "a".repeat(64),
      "\u0000",
      "\u20ac",
      " ",
      ...NAMES,
    ],
    12,
  );
  const isSigned = (header: string): boolean => header.includes(time) && header.includes(proof);
  const asked = stripe.seen.length;
  await fc.assert(
    fc.asyncProperty(
      headers.filter((header) => !isSigned(header)),
      async (header) => {
        await answersInTime(async () => {
          expect(await taken(body, header)).toMatchObject({ reply: { status: 400 }, codes: ["METER_WEBHOOK_REFUSED"] });
        });
      },
    ),
    fuzzed(1_000),
  );
  expect(stripe.seen).toHaveLength(asked);
}, 120_000);

it("refuses a signed body in which anything was changed", async () => {
  const event = {
    id: "evt_1",
    object: "event",
    type: "customer.created",
    livemode: false,
    data: { object: { id: "cus_1", metadata: {} } },
  };
  const { body, signature } = signedCall(event, SECRET, START);
  const put = fc.uint8Array({ maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(fc.nat(body.length), fc.nat(9), put, async (at, length, bytes) => {
      const changed = Buffer.concat([body.subarray(0, at), bytes, body.subarray(at + length)]);
      fc.pre(!changed.equals(body));
      await answersInTime(async () => expect((await taken(changed, signature)).reply.status).toBe(400));
    }),
    fuzzed(500),
  );
}, 60_000);
