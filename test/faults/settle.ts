import { cli, records } from "../cli/cli.ts";
import { programEnvironment, type StripeProgram } from "./place.ts";

/** Longer than every lease, and than the longest wait between two tries. */
const STEP_MS = 6 * 60_000;
const STEPS_MAX = 20;

/**
 * Closes all windows and reports until nothing is on its way, a few minutes of the programs' clock later each time.
 * Answers how far the clock ran. Throws when something is still on its way after many rounds.
 */
export async function settleReports(folder: string, stripe: StripeProgram, fromOffsetMs: number): Promise<number> {
  let said = "";
  for (let step = 1; step <= STEPS_MAX; step++) {
    const offsetMs = fromOffsetMs + step * STEP_MS;
    await stripe.setOffset(offsetMs);
    const env = programEnvironment(offsetMs);
    const reported = await cli(folder, ["report", "--json"], env);
    const status = await cli(folder, ["status", "--json"], env);
    const [found] = records(status) as { outbox: { pending: number }; lag_ms: number; backlog: number }[];
    if (found?.outbox.pending === 0 && found.lag_ms === 0 && found.backlog === 0) return offsetMs;
    said = `${reported.stdout}${reported.stderr}${status.stdout}${status.stderr}`;
  }
  throw new Error(`Usage was still on its way after ${STEPS_MAX} rounds: ${said}`);
}
