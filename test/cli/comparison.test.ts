import { expect, it, onTestFinished } from "vitest";

import { compare } from "../../src/cli/demo/comparison.ts";
import { loadConfig } from "../../src/runtime/load-config.ts";
import { openNode } from "../../src/runtime/node.ts";
import { reportCycle } from "../../src/runtime/report-cycle.ts";
import { ingest } from "../../src/engine/ingest/ingest.ts";
import { startLocalStripe } from "../../src/testing/local-stripe/local-stripe.ts";
import { manualClock } from "../../src/testing/manual-clock.ts";
import { CHAT_YAML, workspace } from "./cli.ts";

const HOUR_MS = 3_600_000;

it("the demo's comparison sees a unit that Stripe does not have", async () => {
  const clock = manualClock(Date.UTC(2026, 10, 22, 10));
  const stripe = await startLocalStripe({ clock });
  onTestFinished(() => stripe.close());
  stripe.createMeter({ event_name: "chat_tokens" });
  stripe.createCustomer({ id: "cus_demo1", metadata: { company_id: "acme-inc" } });
  const { settings } = loadConfig({
    config: "meterbook.yaml",
    directory: workspace(CHAT_YAML),
    env: { STRIPE_API_KEY: "sk_test_x", STRIPE_API_BASE: stripe.url },
  });
  const node = await openNode({ settings, clock, ownWriter: null, adoptFrom: null, onNotice: () => undefined });
  onTestFinished(() => node.close());
  const event = {
    source: "test",
    type: "http.request",
    time: clock.now(),
    company: "acme-inc",
    user: null,
    request: { route: "/chat" },
    response: { status: 200, headers: { "x-tokens-used": "5" } },
  };
  await ingest(node.store, node.catalog, [{ ...event, id: "1" }], clock.now());
  clock.advance(2 * HOUR_MS);
  await reportCycle(node, { clock, holder: "test", onNotice: () => undefined });
  expect(await compare(node, stripe)).toMatchObject([{ company: "acme-inc", counted: "5", stripe: "5", equal: true }]);

  await ingest(node.store, node.catalog, [{ ...event, id: "2" }], clock.now());
  expect(await compare(node, stripe)).toMatchObject([
    { company: "acme-inc", counted: "10", stripe: "5", equal: false },
  ]);
});
