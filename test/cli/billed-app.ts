import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { meter } from "meterbook";
import { onTestFinished, vi } from "vitest";

import { startLocalStripe, type LocalStripe } from "../../src/testing/local-stripe/local-stripe.ts";
import { CHAT_YAML, cli, records, workspace, type CliResult } from "./cli.ts";

export const HOUR = 3_600_000;
/** The start of an hour whose window is closed by now. */
export const THEN = Math.floor(Date.now() / HOUR) * HOUR - 3 * HOUR;

/** Meters of tracked work: its tokens, and how often it was done. */
export const JOBS_YAML = CHAT_YAML.replace(
  /meters:[\s\S]*billing:/,
  `meters:
  job_tokens:
    unit: token
    eventType: job
    aggregate: sum
    value: values.tokens
  jobs:
    eventType: job
    aggregate: count
billing:`,
);

interface Work {
  readonly id: string;
  readonly companyId?: string;
  readonly values?: Readonly<Record<string, string>>;
  readonly time?: number;
}

/** A folder with an app's configuration, and a local Stripe that its commands report to. */
export interface BilledApp {
  readonly directory: string;
  readonly stripe: LocalStripe;
  /** Runs the app once: it does this work, and puts its configuration into force. */
  readonly work: (...jobs: readonly Work[]) => Promise<void>;
  readonly edit: (yaml: string) => void;
  readonly run: (...args: readonly string[]) => Promise<CliResult>;
  /** A command's JSON lines; the test fails unless it ends with 0. */
  readonly json: (...args: readonly string[]) => Promise<Record<string, unknown>[]>;
  /** `meterbook verify` finds every sum whole, and `rebuild` every bucket as stored. */
  readonly assertWhole: () => Promise<void>;
}

/** Companies acme and globex are the customers cus_acme and cus_globex. */
export async function billedApp(): Promise<BilledApp> {
  const stripe = await startLocalStripe();
  onTestFinished(() => stripe.close());
  for (const event_name of ["job_tokens", "jobs"]) stripe.createMeter({ event_name });
  for (const company of ["acme", "globex"])
    stripe.createCustomer({ id: `cus_${company}`, metadata: { company_id: company } });
  const directory = workspace(JOBS_YAML);
  const env = { STRIPE_API_KEY: "sk_test_x", STRIPE_API_BASE: stripe.url };
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  const run = (...args: readonly string[]): Promise<CliResult> => cli(directory, args, env);
  const json = async (...args: readonly string[]): Promise<Record<string, unknown>[]> => {
    const result = await run(...args, "--json");
    if (result.code !== 0)
      throw new Error(`${args.join(" ")} ended with ${result.code}: ${result.stderr}${result.stdout}`);
    return records(result);
  };
  return {
    directory,
    stripe,
    work: async (...jobs) => {
      const metering = meter({ config: join(directory, "meterbook.yaml"), report: false });
      for (const { companyId, values, ...details } of jobs) {
        const who = companyId === undefined ? {} : { companyId };
        metering.track("job", { time: THEN, ...details, ...who, ...(values === undefined ? {} : { values }) });
      }
      await metering.close();
    },
    edit: (yaml) => writeFileSync(join(directory, "meterbook.yaml"), yaml),
    run,
    json,
    assertWhole: async () => {
      const [verified] = await json("verify");
      if (verified?.["ok"] !== true) throw new Error(JSON.stringify(verified));
      await json("rebuild");
    },
  };
}

/** Work of acme (or another) that used so many tokens. */
export function job(id: string, tokens: string | null, more: Partial<Work> = {}): Work {
  return { id, companyId: "acme", ...(tokens === null ? {} : { values: { tokens } }), ...more };
}
