import { join } from "node:path";
import type { AddressInfo } from "node:net";

import express from "express";
import { meter } from "meterbook";
import { expect, it, onTestFinished } from "vitest";

import { verify } from "../../src/engine/books/verify.ts";
import { loadConfig } from "../../src/runtime/load-config.ts";
import { openNode } from "../../src/runtime/node.ts";
import { reportCycle } from "../../src/runtime/report-cycle.ts";
import { startLocalStripe } from "../../src/testing/local-stripe/local-stripe.ts";
import { CHAT_YAML, cli, records, workspace } from "../cli/cli.ts";

const HOUR_MS = 3_600_000;

/** The tutorial's chain: a chat API with a token header, a meter on it, customers with metadata.company_id, Stripe. */
it("turns answered requests into meter events at Stripe, once, and explains them from end to end", async () => {
  const clock = { ahead: 0, now: (): number => Date.now() + clock.ahead };
  const stripe = await startLocalStripe({ clock });
  onTestFinished(() => stripe.close());
  stripe.createMeter({ event_name: "chat_tokens" });
  stripe.createMeter({ event_name: "exports" });
  const subscriber = (company: string): { readonly id: string } => {
    const customer = stripe.createCustomer({ metadata: { company_id: company } });
    const anchor = Math.floor(Date.now() / HOUR_MS) * 3_600 - 3_600;
    stripe.createSubscription({ customer: customer.id, meters: ["chat_tokens", "exports"], anchor });
    return customer;
  };
  const acme = subscriber("acme");
  const directory = workspace(CHAT_YAML.replace("noSubscription: send", "noSubscription: hold"));
  const env = { STRIPE_API_KEY: "sk_test_scenario", STRIPE_API_BASE: stripe.url };

  const metering = meter({
    config: join(directory, "meterbook.yaml"),
    report: false,
    identifyCompany: (request) => request.headers["x-company"],
  });
  const app = express();
  app.use(metering);
  app.post("/chat", (request, response) => {
    response.setHeader("X-Tokens-Used", String(request.headers["x-want"]));
    response.json({ response: "hello" });
  });
  const server = app.listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once("listening", resolve));
  const chat = async (company: string, tokens: string): Promise<void> => {
    const { port } = server.address() as AddressInfo;
    await (
      await fetch(`http://127.0.0.1:${port}/chat`, {
        method: "POST",
        headers: { "x-company": company, "x-want": tokens },
      })
    ).json();
  };
  for (const tokens of ["10.4", "10.4", "10.4"]) await chat("acme", tokens);
  await chat("globex", "7");
  await metering.close();

  const { settings } = loadConfig({ config: "meterbook.yaml", directory, env });
  const node = await openNode({ settings, clock, ownWriter: null, adoptFrom: null, onNotice: () => undefined });
  onTestFinished(() => node.close());
  const report = (): Promise<unknown> => reportCycle(node, { clock, holder: "scenario", onNotice: () => undefined });

  await report();
  expect(stripe.ledger()).toEqual([]);

  clock.ahead = 2 * HOUR_MS;
  expect(await report()).toMatchObject({ accepted: 1, held: 1 });
  expect(stripe.total("chat_tokens", acme.id)).toBe("31");
  await report();
  expect(stripe.ledger()).toHaveLength(1);

  // The mapping appears later: what was held goes out, and nothing else does.
  const globex = subscriber("globex");
  clock.ahead += HOUR_MS;
  await report();
  expect(stripe.total("chat_tokens", globex.id)).toBe("7");
  expect(stripe.total("chat_tokens", acme.id)).toBe("31");
  const sums = await verify(node.store, node.catalog);
  expect(sums.meters["chat_tokens"]).toMatchObject({
    accepted: "38.2",
    reported: "38.2",
    due: "0",
    held: "0",
    refused: "0",
    sent: "38",
    carried: "0.2",
  });
  expect(sums.ok).toBe(true);

  const [event] = records(await cli(directory, ["events", "--json", "--company", "globex"], env));
  const [explained] = records(await cli(directory, ["explain", String(event?.["id"]), "--json"], env));
  expect(explained?.["verdicts"]).toMatchObject([
    {
      meter: "chat_tokens",
      counted: true,
      value: "7",
      record: {
        state: "accepted",
        customer: globex.id,
        identifier: stripe.ledger().find((entry) => entry.customer === globex.id)?.identifiers[0],
      },
    },
    { meter: "exports", counted: false },
  ]);
});
