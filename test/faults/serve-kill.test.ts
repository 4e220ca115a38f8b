import { watch } from "node:fs";

import { expect, it } from "vitest";

import { depth, depthOr, testRandom, type SeededRandom } from "./depth.ts";
import { recordFigures } from "./figures.ts";
import { expectWhole, figuresOf, startOracle } from "./oracle.ts";
import { COMPANIES, emptyFolder } from "./place.ts";
import { progress } from "./progress.ts";
import { serveLoad, type LoadStep, type Memory, type ServeLoadOptions, type ServeLoadResult } from "./serve-load.ts";
import { startServed, writeServed, type ServedProgram } from "./served.ts";

/** What a kill waits for no longer. */
const NOTHING_TO_DO_MS = 3_000;

/** Where a kill strikes: while the service starts, after so many calls were handed over or answered, or as a commit reaches the disk. */
type Strike =
  | { readonly at: "start"; readonly afterMs: number }
  | { readonly at: LoadStep | "commit"; readonly nth: number; readonly afterMs: number };

function choose(random: SeededRandom): Strike {
  const kind = random.next();
  if (kind < 0.12) return { at: "start", afterMs: random.between(0, 900) };
  if (kind < 0.4) return { at: "asked whole", nth: random.between(1, 4), afterMs: random.between(1, 40) };
  const at = kind < 0.6 ? "asked" : kind < 0.8 ? "answered" : "commit";
  const afterMs = random.next() < 0.6 ? 0 : random.between(1, 40);
  return { at, nth: random.between(1, at === "commit" ? 150 : 250), afterMs };
}

type Struck = Strike["at"] | "clock";

/** Kills the service as the strike says; answers what is to be told of each call, and what struck at last. */
function arm(service: ServedProgram, folder: string, strike: Strike) {
  let times = 0;
  let struck: Struck = "clock";
  const later = (ms: number, by: Struck): void => {
    const timer = setTimeout(() => kill(by), ms);
    void service.gone.then(() => clearTimeout(timer));
  };
  const kill = (by: Struck): void => {
    struck = by;
    service.child.kill("SIGKILL");
  };
  const step = (name: Struck): void => {
    if (strike.at === "start" || name !== strike.at || ++times !== strike.nth) return;
    if (strike.afterMs === 0) kill(name);
    else later(strike.afterMs, name);
  };
  if (strike.at === "start") later(strike.afterMs, "start");
  const listens = (): void => {
    later(NOTHING_TO_DO_MS, "clock");
    if (strike.at !== "commit") return;
    const watcher = watch(folder, (_, name) => (name === "meter.db-wal" ? step("commit") : undefined));
    void service.gone.then(() => watcher.close());
  };
  void service.url.then(listens).catch(() => undefined);
  return { onStep: step, struckBy: () => struck };
}

const NOBODY: ServeLoadResult = { answered: 0, repeated: 0, refused: [], broken: [], wrong: [] };

/** Load until the strike. Only the kill may break a call, and every answer must be right. */
async function oneRound(
  folder: string,
  service: ServedProgram,
  options: Omit<ServeLoadOptions, "url" | "onStep">,
): Promise<{ readonly by: Struck; readonly seen: ServeLoadResult }> {
  const strike = choose(options.random);
  const { onStep, struckBy } = arm(service, folder, strike);
  // A service that is killed while it starts may never listen.
  const url = await service.url.catch(() => null);
  const seen = url === null ? NOBODY : await serveLoad({ ...options, url, onStep });
  await service.gone;
  expect(service.child.signalCode).toBe("SIGKILL");
  expect({ strike, listened: url !== null || strike.at === "start" }).toEqual({ strike, listened: true });
  const unexpected = seen.broken.filter((failure) => !BROKEN.test(failure));
  expect({ wrong: seen.wrong, refused: seen.refused, unexpected }).toEqual({ wrong: [], refused: [], unexpected: [] });
  return { by: struckBy(), seen };
}

const BROKEN = /ECONNRESET|ECONNREFUSED|socket hang up|EPIPE|aborted/;

it("kill -9 of the service under HTTP load, at any moment: what was answered is stored and counted once, a whole batch or nothing of it", async () => {
  const rounds = depthOr("SERVE_KILLS", { ci: 30, long: 1_000 });
  const checkEvery = depth({ ci: 10, long: 50 });
  const random = testRandom();
  const folder = emptyFolder();
  const oracle = await startOracle();
  writeServed(folder);
  const memory: Memory = { unanswered: [], kept: [] };
  const struck = { start: 0, asked: 0, "asked whole": 0, answered: 0, commit: 0, clock: 0 };
  const sums = { answered: 0, repeated: 0, broken: 0 };
  const tell = progress("kill -9 of the service", rounds);
  try {
    for (let round = 1; round <= rounds; round++) {
      const service = startServed(folder);
      const { by, seen } = await oneRound(folder, service, { oracle, random, prefix: String(round), memory });
      struck[by] += 1;
      sums.answered += seen.answered;
      sums.repeated += seen.repeated;
      sums.broken += seen.broken.length;
      tell(round, `${sums.answered} calls answered`);
      if (round % checkEvery === 0) expectWhole(await oracle.check({ directory: folder }));
    }
    const verdict = await oracle.check({ directory: folder });
    recordFigures({
      test: "kill -9 of meterbook serve under HTTP load",
      rounds,
      ...figuresOf(verdict),
      note: `${sums.answered} calls answered, ${sums.repeated} of them sent again, ${sums.broken} broken off; struck ${struck.start} × at start, ${struck.asked} × at a call, ${struck["asked whole"]} × within a large one, ${struck.commit} × at a commit, ${struck.answered} × after an answer, ${struck.clock} × at any time`,
    });
    expectWhole(verdict);
    expect(Object.keys(verdict.companies).toSorted()).toEqual([...COMPANIES]);
    expect(verdict.acknowledged).toBeGreaterThan(rounds * 50);
    expect(sums.repeated).toBeGreaterThan(rounds);
    expect(struck.clock).toBeLessThan(rounds / 2);
  } finally {
    await oracle.close();
  }
});
