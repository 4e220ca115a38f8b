import { expect, it, onTestFailed } from "vitest";

import { depth } from "../faults/depth.ts";
import { recordFigures } from "../faults/figures.ts";
import { brokenPromises } from "./oracle.ts";
import { simulate } from "./simulated-run.ts";

const given = process.env["SIM_SEED"];
const SEEDS = given === undefined ? depth({ ci: 300, long: 100_000 }) : 1;
/** A long run begins where none began before; the seeds of every change are the same ones. */
const FIRST = given === undefined ? depth({ ci: 1, long: Date.now() }) : Number(given);
/** Seeds that once broke the promise. */
const REGRESSIONS: readonly number[] = [];

function replayLine(seed: number): string {
  return `SIM_SEED=${seed} npx vitest run --config test/faults/vitest.config.ts test/simulation`;
}

it(
  "whatever fails in whatever order, all that was acknowledged is stored once and billed once",
  async () => {
    const seeds = [
      ...(given === undefined ? REGRESSIONS : []),
      ...Array.from({ length: SEEDS }, (_, at) => FIRST + at),
    ];
    let running = FIRST;
    onTestFailed(() => console.error(replayLine(running)));
    const seen = { acknowledged: 0, crashes: 0, reports: 0 };
    for (const seed of seeds) {
      running = seed;
      const end = await simulate(seed);
      try {
        const replay = replayLine(seed);
        expect({ replay, broken: await brokenPromises(end) }).toEqual({ replay, broken: [] });
        seen.acknowledged += end.book.acknowledged.size;
        seen.crashes += end.crashes;
        seen.reports += end.wire.reports.length;
      } finally {
        await end.close();
      }
    }
    recordFigures({
      test: "deterministic simulation of apps, workers, reporters and Stripe",
      rounds: seeds.length,
      acknowledged: seen.acknowledged,
      lost: 0,
      doubled: 0,
      invented: 0,
      note: `${seen.crashes} crashes, ${seen.reports} reports reached Stripe`,
    });
    // A run without trouble would prove nothing.
    expect(given !== undefined || seen.crashes > SEEDS, `${seen.crashes} crashes`).toBe(true);
  },
  48 * 3_600_000,
);

it("a seed replays exactly", async () => {
  const traces: string[] = [];
  for (let run = 0; run < 2; run++) {
    const end = await simulate(7);
    traces.push(end.trace);
    await end.close();
  }
  expect(traces[0]).toBe(traces[1]);
}, 120_000);
