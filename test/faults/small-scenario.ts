import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

import type { Oracle } from "./oracle.ts";
import {
  emptyFolder,
  programEnvironment,
  startStripeProgram,
  writeConfiguration,
  type StripeProgram,
} from "./place.ts";

const PROGRAM = join(import.meta.dirname, "programs/small-scenario.js");
/** Longer than a reporter's lease: who starts now need not wait for the dead. */
const RUN_APART_MS = 3 * 60_000;

/** How a run of the scenario ended. */
interface ScenarioRun {
  /** The signal of its death; null when it ended by itself. */
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Tokens of the events that it was told were written. */
  readonly acknowledged: readonly string[];
}

/** A folder with a database and a local Stripe, in which the scenario runs again and again, killed or not. */
export interface ScenarioPlace {
  readonly folder: string;
  readonly stripeUrl: string;
  /** The environment of commands at the scenario's time. */
  environment(): Record<string, string>;
  /** Empties the place: no database, new companies. */
  renew(): Promise<void>;
  /** Runs it once under `strace` with these arguments, or without. The oracle hears what it tried and what was acknowledged. */
  run(straceArguments?: readonly string[]): Promise<ScenarioRun>;
}

/** Makes a place; gone after the test. */
export async function scenarioPlace(oracle: Oracle): Promise<ScenarioPlace> {
  const stripe: StripeProgram = await startStripeProgram([]);
  const outer = emptyFolder();
  let companies: readonly string[] = [];
  let offsetMs = 0;
  let runs = 0;
  let renewals = 0;
  const place: ScenarioPlace = {
    folder: outer,
    stripeUrl: stripe.url,
    environment: () => programEnvironment(offsetMs),
    async renew() {
      renewals += 1;
      companies = [`acme${renewals}`, `globex${renewals}`];
      await stripe.createCustomers(companies);
      for (const name of ["meter.db", "meter.db-wal", "meter.db-shm", "meter.db-journals"])
        rmSync(join(outer, name), { recursive: true, force: true });
      writeConfiguration(outer, stripe.url);
      oracle.begin();
    },
    async run(straceArguments) {
      offsetMs += RUN_APART_MS;
      await stripe.setOffset(offsetMs);
      const program = [process.execPath, PROGRAM, outer, String(++runs), companies.join(",")];
      const [command = "", ...rest] =
        straceArguments === undefined ? program : ["strace", ...straceArguments, ...program];
      const run = await ranOnce(command, rest, programEnvironment(offsetMs));
      tellOracle(run.stdout, oracle);
      return run;
    },
  };
  await place.renew();
  return place;
}

function ranOnce(command: string, rest: readonly string[], env: Record<string, string>): Promise<ScenarioRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, rest, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString("latin1")));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString("latin1")));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      const acknowledged = stdout.split("\n").flatMap((line) => (line.startsWith("ack ") ? [line.slice(4)] : []));
      resolve({ signal, code, stdout, stderr, acknowledged });
    });
  });
}

/** The last line may be cut off by the kill: what was not printed whole was not acknowledged. */
function tellOracle(stdout: string, oracle: Oracle): void {
  for (const line of stdout.split("\n").slice(0, -1)) {
    const [word, token = "", company = "", tokens = ""] = line.split(" ");
    if (word === "try") oracle.attempted({ token, company, tokens });
    if (word === "ack") oracle.acknowledged(token);
  }
}

/** How often the scenario's main thread makes each of these calls, counted in one run. */
export async function countCalls(place: ScenarioPlace, calls: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const log = join(place.folder, "calls.log");
  const run = await place.run(["-f", "--seccomp-bpf", "-qq", "-o", log, "-e", `trace=${calls.join(",")}`]);
  if (run.code !== 0) throw new Error(`the scenario fails without faults: ${run.stderr}${run.stdout}`);
  const counts = new Map<string, Map<string, number>>();
  for (const line of readFileSync(log, "latin1").split("\n")) {
    const [, thread = "", call = ""] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
    if (call === "") continue;
    const threads = counts.get(call) ?? new Map<string, number>();
    threads.set(thread, (threads.get(thread) ?? 0) + 1);
    counts.set(call, threads);
  }
  rmSync(log);
  // strace counts for each thread by itself: the n-th call is that of whichever comes to it first.
  return new Map([...counts].map(([call, threads]) => [call, Math.max(...threads.values())]));
}
