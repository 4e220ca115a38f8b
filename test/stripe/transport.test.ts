import type { ServerResponse } from "node:http";

import { afterEach, describe, expect, it } from "vitest";

import type { UsageRecord } from "../../src/core/usage-record.ts";
import { stripeReporter, type StripeReporter } from "../../src/stripe/stripe-reporter.ts";
import { hourRecord } from "./hour-record.ts";
import { list, meter, scriptedStripe, type Script, type ScriptedStripe } from "./scripted-stripe.ts";

const NOW = Date.now();

const record: UsageRecord = { ...hourRecord("120", NOW - 7_200_000, "mb1_abc"), customer: "cus_1" };

const open: ScriptedStripe[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

async function stripe(
  onEvent: Script,
  timeoutMs?: number,
): Promise<{ readonly server: ScriptedStripe; readonly reporter: StripeReporter }> {
  const server = await scriptedStripe((request, response) =>
    request.path === "/v1/billing/meter_events" ? onEvent(request, response) : list(meter),
  );
  open.push(server);
  const reporter = stripeReporter({
    apiKey: "sk_test_secret0123456789",
    mode: "test",
    apiBase: server.url,
    companyIdAt: { kind: "metadata", key: "company_id" },
    clock: { now: () => NOW },
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  return { server, reporter };
}

function reportsIn({ seen }: ScriptedStripe): number {
  return seen.filter(({ path }) => path === "/v1/billing/meter_events").length;
}

describe("what the client does by itself is bounded", () => {
  it("a connection that is reset is not tried again behind our back: a resend is ours to decide", async () => {
    const { server, reporter } = await stripe((_, response) => void response.socket?.resetAndDestroy());
    expect(await reporter.report(record, "k")).toMatchObject({ kind: "unknown" });
    expect(reportsIn(server)).toBe(1);
  });

  it.each(["42", '"ok"', "null", "true"])(
    "a body that is JSON but no object (%s) is an unknown outcome",
    async (body) => {
      const { reporter } = await stripe(() => ({ body }));
      expect(await reporter.report(record, "k")).toMatchObject({ kind: "unknown" });
    },
  );

  it("an answer that comes byte by byte is given up when its time is over, though it is never silent", async () => {
    const dripping = new Set<ReturnType<typeof setInterval>>();
    const drip = (response: ServerResponse): undefined => {
      response.writeHead(200, { "content-type": "application/json" });
      dripping.add(setInterval(() => response.write(" "), 10));
    };
    const { reporter } = await stripe((_, response) => drip(response), 300);
    expect(await reporter.report(record, "k")).toMatchObject({
      kind: "unknown",
      reason: expect.stringContaining("no readable answer"),
    });
    for (const timer of dripping) clearInterval(timer);
  });
});
