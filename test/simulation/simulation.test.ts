import { expect, it } from "vitest";

import { depth, depthOr } from "../faults/depth.ts";
import { recordFigures } from "../faults/figures.ts";
import { progress } from "../faults/progress.ts";
import { playSeeds } from "./seed-lanes.ts";
import { playSeed, replayLine, type SeedEnd } from "./seed.ts";

/** SIM_SEED=… runs one seed in this very process; SIM_FROM=… SIM_COUNT=… are a part of a long run. */
const given = process.env["SIM_SEED"];
const COUNT = depthOr("SIM_COUNT", { ci: 300, long: 100_000 });
/** A long run begins where none began before; the seeds of every change are the same ones. */
const FIRST = depthOr("SIM_FROM", { ci: 1, long: Date.now() });
/** Seeds that once broke the promise. */
const REGRESSIONS: readonly number[] = [];
/** Fewer seeds than this may draw hardly any crash. */
const FEW = 100;

function expectHeld({ seed, broken }: SeedEnd): void {
  const replay = replayLine(seed);
  expect({ replay, broken }).toEqual({ replay, broken: [] });
}

const oneSeed = async (): Promise<void> => expectHeld(await playSeed(Number(given)));

const allSeeds = async (): Promise<void> => {
  const seen = { rounds: 0, acknowledged: 0, crashes: 0, reports: 0 };
  const tell = progress(`simulation from seed ${FIRST}`, COUNT);
  const onEnd = (end: SeedEnd): void => {
    expectHeld(end);
    seen.rounds += 1;
    seen.acknowledged += end.acknowledged;
    seen.crashes += end.crashes;
    seen.reports += end.reports;
    tell(seen.rounds, `${seen.crashes} crashes, ${seen.reports} reports`);
  };
  for (const seed of REGRESSIONS) onEnd(await playSeed(seed));
  await playSeeds({ first: FIRST, count: COUNT }, onEnd);
  const { rounds, acknowledged, crashes, reports } = seen;
  recordFigures({
    test: "deterministic simulation of apps, workers, reporters and Stripe",
    rounds,
    acknowledged,
    lost: 0,
    doubled: 0,
    invented: 0,
    note: `${crashes} crashes, ${reports} reports reached Stripe; seeds from ${FIRST}`,
  });
  expect(rounds).toBe(REGRESSIONS.length + COUNT);
  // A run without trouble would prove nothing; each seed draws its own, so that a few may have little.
  expect(crashes, `${crashes} crashes`).toBeGreaterThan(COUNT < FEW ? 0 : COUNT);
};

it(
  "whatever fails in whatever order, all that was acknowledged is stored once and billed once",
  { timeout: depth({ ci: 1_200_000, long: 48 * 3_600_000 }) },
  async () => {
    expect.hasAssertions();
    await (given === undefined ? allSeeds() : oneSeed());
  },
);

it("a seed replays exactly, in this process as in one of its own", { timeout: 120_000 }, async () => {
  const here = [await playSeed(7), await playSeed(7)];
  const elsewhere: SeedEnd[] = [];
  await playSeeds({ first: 7, count: 1 }, (end) => elsewhere.push(end));
  expect(here[1]).toEqual(here[0]);
  expect(elsewhere).toEqual([here[0]]);
});
