import { readFileSync } from "node:fs";

import { Command, Option } from "commander";

import { MeterbookError, sentenceOf } from "../../core/errors.ts";
import {
  startLocalStripe,
  type LocalStripe,
  type LoggedCall,
  type LoggedDelivery,
  type SeedFile,
} from "../../testing/index.ts";
import { portOf } from "../instants.ts";
import { grouped, output, visible, type Output } from "../output.ts";
import { paint } from "../paint.ts";
import { stopSignal } from "../stop-signals.ts";

interface StripeLocalOptions {
  readonly port: string;
  readonly seed?: string;
  readonly sandbox?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

/** How much of a call's parameters its line shows. */
const PARAMETERS_LENGTH_MAX = 100;

/** `meterbook stripe-local`: a Stripe for tests on 127.0.0.1, alive until it is stopped; then it prints what it counted. */
export function stripeLocalCommand(): Command {
  return new Command("stripe-local")
    .description("Run a local Stripe to test against: meters, customers, subscriptions, invoices, webhooks, faults")
    .addOption(new Option("--port <port>", "port on 127.0.0.1; 0 takes a free one").default("4403", "4403"))
    .option("--seed <file>", "JSON file with customers, meters, subscriptions and webhooks to begin with")
    .option("--sandbox", "the limits of a sandbox: 25 calls a second")
    .option("--quiet", "no line for each call")
    .addHelpText(
      "after",
      "\nExample: meterbook stripe-local --port 4403 --seed stripe.json\nRuns until ^C (ends with 130) or SIGTERM (143), and prints then what it counted.\nOrders for tests go to /_local/: GET /_local/help lists them, each with a call to copy.",
    )
    .action(async (options: StripeLocalOptions) => {
      process.exitCode = await runUntilStopped(options, output({ json: options.json === true }));
    });
}

async function runUntilStopped(options: StripeLocalOptions, out: Output): Promise<number> {
  const seed = options.seed === undefined ? {} : readSeed(options.seed);
  const stripe = await start(options, out);
  const stop = stopSignal();
  try {
    announce(stripe, stripe.seed(seed), out);
    const exit = await stop.came;
    conclude(stripe, out);
    return exit;
  } finally {
    await stripe.close();
  }
}

async function start(options: StripeLocalOptions, out: Output): Promise<LocalStripe> {
  const isTold = options.quiet !== true;
  try {
    return await startLocalStripe({
      port: portOf(options.port),
      automatic: true,
      sandbox: options.sandbox === true,
      onCall: (call) => isTold && tellCall(call, out),
      onDelivery: (attempt) => isTold && tellDelivery(attempt, out),
    });
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE") {
      throw new MeterbookError("METER_COMMAND_INVALID", `Port ${options.port} is taken.`, {
        cause,
        remedy: "Name another one with --port, or 0 for any free one.",
      });
    }
    if (cause instanceof Error && "code" in cause && cause.code === "EACCES") {
      throw new MeterbookError("METER_COMMAND_INVALID", `Port ${options.port} is not permitted to this user.`, {
        cause,
        remedy: "Name one from 1024 on with --port, or 0 for any free one.",
      });
    }
    throw cause;
  }
}

/** The parsed file; that it is a seed is checked where it is put in. */
function readSeed(file: string): SeedFile {
  try {
    const seed: SeedFile = JSON.parse(readFileSync(file, "utf8"));
    return seed;
  } catch (cause) {
    throw new MeterbookError("METER_COMMAND_INVALID", `The seed ${file} cannot be read: ${sentenceOf(cause)}`, {
      cause,
      remedy: 'Give a JSON file such as {"customers": [{"id": "cus_1", "metadata": {"company_id": "acme"}}]}.',
    });
  }
}

function announce(stripe: LocalStripe, seeded: ReturnType<LocalStripe["seed"]>, out: Output): void {
  const { url, host, port } = stripe;
  if (out.json) {
    out.record({ kind: "listening", url, host, port, ledger: `${url}/_local/ledger`, seeded });
    return;
  }
  const client = `new Stripe("sk_test_local", { host: "${host}", port: ${String(port)}, protocol: "http", telemetry: false })`;
  out.line(`  Local Stripe  ${url}          (^C to stop; nothing leaves this machine)`);
  out.line(
    `  meterbook     billing: { stripe: { apiKey: "\${STRIPE_API_KEY}", apiBase: "${url}" } }, with STRIPE_API_KEY=sk_test_local`,
  );
  out.line(`  stripe-node   ${client}`);
  out.line(`  Ledger        ${url}/_local/ledger`);
  for (const { id, secret } of seeded.webhooks) {
    out.line(`  Webhook       ${id} signs with ${secret}`);
  }
  out.line();
}

function tellCall({ method, path, form, status }: LoggedCall, out: Output): void {
  if (out.json) {
    out.record({ kind: "call", method, path, form, status });
    return;
  }
  const shown =
    status === null ? paint.red("cut") : status < 400 ? paint.green(String(status)) : paint.red(String(status));
  out.line(`--> ${visible(`${method} ${path}`)} ${shown} ${paint.dim(parametersText(form))}`.trimEnd());
}

function tellDelivery({ type, event, url, attempt, status }: LoggedDelivery, out: Output): void {
  if (out.json) {
    out.record({ kind: "delivery", type, event, url, attempt, status });
    return;
  }
  const shown =
    status !== null && status < 300 ? paint.green(String(status)) : paint.red(String(status ?? "no answer"));
  out.line(`<-- POST ${visible(url)} ${shown} ${paint.dim(`${type} ${event}, attempt ${String(attempt)}`)}`);
}

/** Parameters for a reader: decoded where they can be, on one line, cut. */
function parametersText(form: string): string {
  let text = form;
  try {
    text = decodeURIComponent(form.replaceAll("+", " ")).replaceAll("&", " ");
  } catch {
    // What cannot be decoded is shown as it came.
  }
  const safe = visible(text);
  return safe.length > PARAMETERS_LENGTH_MAX ? `${safe.slice(0, PARAMETERS_LENGTH_MAX)}…` : safe;
}

/** What was counted, by event name and customer; --json has every entry. */
function conclude(stripe: LocalStripe, out: Output): void {
  const entries = stripe.ledger();
  if (out.json) {
    out.record({ kind: "ledger", entries, invoiced: stripe.invoiced() });
    return;
  }
  out.line();
  if (entries.length === 0) {
    out.line("Nothing was counted.");
    return;
  }
  const events = new Map<string, { readonly eventName: string; readonly customer: string; count: number }>();
  for (const entry of entries) {
    const { eventName, customer } = entry;
    const lane = events.get(`${eventName} ${customer}`) ?? { eventName, customer, count: 0 };
    lane.count += entry.events;
    events.set(`${eventName} ${customer}`, lane);
  }
  const rows = [...events.values()].map(({ eventName, customer, count }) => [
    eventName,
    customer,
    String(count),
    grouped(stripe.total(eventName, customer)),
  ]);
  out.table([["event name", "customer", "events", "counted"], ...rows], { right: [2, 3] });
}
