import { expect, it } from "vitest";

import { depth } from "./depth.ts";
import { recordFigures } from "./figures.ts";
import { needs } from "./needs.ts";
import { expectWhole, figuresOf, startOracle, type OracleVerdict } from "./oracle.ts";
import { progress } from "./progress.ts";
import { countCalls, scenarioPlace, type ScenarioPlace } from "./small-scenario.ts";

const CALLS = ["write", "pwrite64", "ftruncate", "fsync", "fdatasync", "rename", "unlink"] as const;
const KILLS_CI = 200;
/** Scenarios side by side: each has its own database, oracle and Stripe. */
const LANES = 2;

/** Kill at the n-th time a thread makes this call. */
interface Place {
  readonly call: string;
  readonly nth: number;
}

/** Every call of the scenario; of the frequent ones only some, evenly, when there are more than `most`. */
function placesOf(counts: ReadonlyMap<string, number>, most: number): readonly Place[] {
  let left = most;
  let kinds = counts.size;
  // Rare calls first: what they leave over goes to the frequent ones.
  return [...counts]
    .toSorted(([, a], [, b]) => a - b)
    .flatMap(([call, count]) => {
      const taken = Math.min(count, Math.floor(left / kinds));
      left -= taken;
      kinds -= 1;
      return Array.from({ length: taken }, (_, at) => ({ call, nth: 1 + Math.floor((at * count) / taken) }));
    });
}

/** Kills the scenario at the place; when a run does less than the counted one, at an earlier call of the kind. */
async function killAt(scenario: ScenarioPlace, { call, nth }: Place): Promise<void> {
  for (let when = nth; when >= 1; when = Math.floor(when / 2)) {
    const inject = `inject=${call}:signal=SIGKILL:when=${when}`;
    const run = await scenario.run(["-f", "-qq", "-o", "/dev/null", "-e", `trace=${call}`, "-e", inject]);
    if (run.signal === "SIGKILL") return;
    expect({ run, call, when }).toMatchObject({ run: { code: 0 } });
  }
  throw new Error(`${call} was never struck`);
}

/** One after another of the places, in fresh folders of `together` kills each; a run without faults, then the oracle. */
async function strike(
  places: readonly Place[],
  together: number,
  onKilled: (kills: number) => void,
): Promise<readonly OracleVerdict[]> {
  const oracle = await startOracle();
  const verdicts: OracleVerdict[] = [];
  try {
    const scenario = await scenarioPlace(oracle);
    for (let at = 0; at < places.length; at += together) {
      const group = places.slice(at, at + together);
      await scenario.renew();
      for (const place of group) await killAt(scenario, place);
      onKilled(group.length);
      const { code, stderr } = await scenario.run();
      expect({ group, code, stderr }).toMatchObject({ code: 0 });
      const { folder: directory, stripeUrl } = scenario;
      const verdict = await oracle.check({ directory, stripeUrl, env: scenario.environment() });
      verdicts.push(verdict);
      try {
        expectWhole(verdict);
      } catch (error) {
        throw new Error(`after kills at ${JSON.stringify(group)}`, { cause: error });
      }
    }
  } finally {
    await oracle.close();
  }
  return verdicts;
}

it("kill -9 at the n-th write, fsync, rename and unlink of append, drain and report: nothing acknowledged is lost or billed twice", async (context) => {
  needs(context, "strace");
  const oracle = await startOracle();
  const counts = await countCalls(await scenarioPlace(oracle), CALLS);
  await oracle.close();
  // Every kind of call is made at all; else this test would test nothing of it.
  for (const call of ["write", "pwrite64", "fsync", "fdatasync", "rename", "unlink"])
    expect(counts.get(call)).toBeGreaterThan(0);
  const places = placesOf(counts, depth({ ci: KILLS_CI, long: Infinity }));
  const verdicts: OracleVerdict[] = [];
  const tell = progress("kill -9 at the n-th call", places.length * depth({ ci: 1, long: 2 }));
  let killed = 0;
  const onKilled = (kills: number): void => tell((killed += kills));
  // Alone each kill is of a fresh database; eight in a row strike the recovery from the kill before, too.
  for (const together of depth({ ci: [8], long: [1, 8] })) {
    const lanes = Array.from({ length: LANES }, (_, lane) =>
      strike(
        places.filter((__, at) => at % LANES === lane),
        together,
        onKilled,
      ),
    );
    verdicts.push(...(await Promise.all(lanes)).flat());
  }
  expect(places.length).toBeGreaterThanOrEqual(KILLS_CI);
  const sum = (of: (figures: ReturnType<typeof figuresOf>) => number): number =>
    verdicts.reduce((total, verdict) => total + of(figuresOf(verdict)), 0);
  recordFigures({
    test: "kill -9 at the n-th write, fsync, rename, unlink",
    rounds: places.length * depth({ ci: 1, long: 2 }),
    acknowledged: sum(({ acknowledged }) => acknowledged),
    lost: sum(({ lost }) => lost),
    doubled: sum(({ doubled }) => doubled),
    invented: sum(({ invented }) => invented),
    note: `calls of one run: ${[...counts].map(([call, count]) => `${call} ${count}`).join(", ")}`,
  });
});
