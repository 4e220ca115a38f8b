import { afterEach } from "vitest";

import { stripeReporter, type StripeReporter } from "../../src/stripe/stripe-reporter.ts";
import {
  startLocalStripe,
  type LocalStripe,
  type LocalStripeOptions,
} from "../../src/testing/local-stripe/local-stripe.ts";
import { manualClock, type ManualClock } from "../../src/testing/manual-clock.ts";
import { START } from "../engine/world.ts";
import { scriptedStripe, type Script } from "./scripted-stripe.ts";

/** What is closed after each test. */
export const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

/** Stripe's books as a reporter reads them, and what it told. */
export interface Books {
  readonly clock: ManualClock;
  readonly reporter: StripeReporter;
  readonly notices: string[];
}

/** A reporter to what answers there. */
export function books(url: string, clock: ManualClock = manualClock(START)): Books {
  const notices: string[] = [];
  const reporter = stripeReporter({
    apiKey: "sk_test_local",
    mode: "test",
    apiBase: url,
    companyIdAt: { kind: "metadata", key: "company_id" },
    clock,
    onNotice: ({ code, text }) => notices.push(`${code}: ${text}`),
  });
  return { clock, reporter, notices };
}

/** A local Stripe with a meter and a customer. */
export async function local(options: LocalStripeOptions = {}): Promise<Books & { readonly stripe: LocalStripe }> {
  const clock = manualClock(START);
  const stripe = await startLocalStripe({ clock, ...options });
  open.push(stripe);
  const { reporter, notices } = books(stripe.url, clock);
  stripe.createMeter({ event_name: "chat_tokens" });
  stripe.createCustomer({ id: "cus_acme", metadata: { company_id: "acme" } });
  return { clock, stripe, reporter, notices };
}

/** A Stripe that answers as the test says. */
export async function scripted(script: Script): Promise<Books> {
  const server = await scriptedStripe(script);
  open.push(server);
  return books(server.url);
}
