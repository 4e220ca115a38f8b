import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { onTestFinished } from "vitest";

/** Who pays in the fault tests. */
export const COMPANIES = ["acme", "globex", "initech"] as const;

/** The environment of a metered program and of commands: a key, and a clock that runs ahead in all its threads. */
export function programEnvironment(offsetMs: number): Record<string, string> {
  const preload = pathToFileURL(join(import.meta.dirname, "programs/shifted-clock.js")).href;
  return { NODE_OPTIONS: `--import=${preload}`, CLOCK_OFFSET_MS: String(offsetMs), STRIPE_API_KEY: "sk_test_faults" };
}

/** A local Stripe in its own process, with the meter chat_tokens. */
export interface StripeProgram {
  readonly url: string;
  /** How far its clock runs ahead of the machine's, milliseconds. */
  setOffset(offsetMs: number): Promise<void>;
  /** Makes the customer `cus_<company>` of each company. */
  createCustomers(companies: readonly string[]): Promise<void>;
}

/** Starts it; ended when the test is over. */
export async function startStripeProgram(companies: readonly string[] = COMPANIES): Promise<StripeProgram> {
  const child = fork(join(import.meta.dirname, "programs/stripe-program.js"), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  onTestFinished(() => ended(child));
  const [{ url }] = (await once(child, "message")) as [{ url: string }];
  const tell = async (message: object): Promise<void> => {
    child.send(message);
    await once(child, "message");
  };
  await tell({ companies });
  return { url, setOffset: (offsetMs) => tell({ offsetMs }), createCustomers: (more) => tell({ companies: more }) };
}

/** Kills a child and waits until it is gone. */
export async function ended(child: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill(signal);
  await gone;
}

/** An empty folder, gone after the test. */
export function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "meterbook-faults-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes `meterbook.yaml`: one meter over all chats, minute windows, reports to `stripeUrl` or nowhere. */
export function writeConfiguration(folder: string, stripeUrl: string | null): void {
  const billing = `billing:
  stripe:
    apiKey: \${STRIPE_API_KEY}
    apiBase: ${stripeUrl}
    mode: test
    report: { window: minute, every: 100ms }
    map: { company_id: customer.metadata.company_id }
    noSubscription: send
`;
  writeFileSync(
    join(folder, "meterbook.yaml"),
    `version: 1
storage: { path: ./meter.db }
meters:
  chat_tokens:
    aggregate: sum
    value: response.headers.X-Tokens-Used
${stripeUrl === null ? "" : billing}`,
  );
}
