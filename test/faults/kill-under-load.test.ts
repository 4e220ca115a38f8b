import { expect, it } from "vitest";

import { depth, depthOr, testRandom, type SeededRandom } from "./depth.ts";
import { recordFigures } from "./figures.ts";
import { load } from "./load.ts";
import { watchDrain, type DrainStep } from "./drain-watch.ts";
import { startApp, type MeteredApp } from "./metered-app.ts";
import { expectWhole, figuresOf, startOracle, type Oracle } from "./oracle.ts";
import { COMPANIES, emptyFolder, programEnvironment, startStripeProgram, writeConfiguration } from "./place.ts";
import { progress } from "./progress.ts";
import { settleReports } from "./settle.ts";
import { openStripeDoor, type StripeDoor } from "./stripe-door.ts";

const MINUTE_MS = 60_000;
/** The worker drains four times a second: kills within this reach it between any two of its steps. */
const LATER_MS = 300;
/** When nothing is to drain or to report, the kill does not wait for it. */
const NOTHING_TO_DO_MS = 1_500;

/** Where a kill strikes: while the app starts, while the worker drains, after so many answers and a moment, or while Stripe takes a report. */
type Strike =
  | { readonly at: "start"; readonly afterMs: number }
  | { readonly at: "drain"; readonly step: DrainStep; readonly nth: number }
  | { readonly at: "answer"; readonly answers: number; readonly afterMs: number }
  | { readonly at: "report"; readonly moment: "before" | "after"; readonly nth: number };

function choose(random: SeededRandom): Strike {
  const kind = random.next();
  if (kind < 0.08) return { at: "start", afterMs: random.between(0, 600) };
  if (kind < 0.3) return { at: "drain", step: random.pick(["written", "swept"]), nth: random.between(1, 4) };
  if (kind < 0.65) {
    const afterMs = random.next() < 0.5 ? 0 : random.between(1, LATER_MS);
    return { at: "answer", answers: random.between(1, 400), afterMs };
  }
  return { at: "report", moment: random.pick(["before", "after"]), nth: random.between(1, 6) };
}

/** What struck at last: a drain or report that did not come in time is struck by the clock. */
type Struck = Strike["at"] | "clock";

interface Armed {
  readonly onAnswered: () => void;
  readonly struckBy: () => Struck;
}

/** Kills the app as the strike says, by a timer where it has a time and by the event itself where it has none. */
function arm(app: MeteredApp, door: StripeDoor, folder: string, strike: Strike): Armed {
  let answers = 0;
  let times = 0;
  let struck: Struck = "clock";
  const kill = (by: Struck): void => {
    struck = by;
    app.child.kill("SIGKILL");
  };
  const later = (ms: number, by: Struck): void => {
    const timer = setTimeout(() => kill(by), ms);
    void app.gone.then(() => clearTimeout(timer));
  };
  if (strike.at === "start") later(strike.afterMs, "start");
  const ready = app.port.then(
    () => true,
    () => false,
  );
  if (strike.at === "report" || strike.at === "drain")
    void ready.then((listens) => (listens ? later(NOTHING_TO_DO_MS, "clock") : undefined));
  door.onReport = (moment) => {
    if (strike.at === "report" && moment === strike.moment && ++times === strike.nth) kill("report");
  };
  if (strike.at === "drain") {
    const unwatch = watchDrain(folder, (step) => {
      if (step === strike.step && ++times === (step === "swept" ? 1 : strike.nth)) kill("drain");
    });
    void app.gone.then(unwatch);
  }
  const onAnswered = (): void => {
    answers += 1;
    if (strike.at !== "answer" || answers !== strike.answers) return;
    if (strike.afterMs === 0) kill("answer");
    else later(strike.afterMs, "answer");
  };
  return { onAnswered, struckBy: () => struck };
}

interface Round {
  readonly number: number;
  readonly folder: string;
  readonly app: MeteredApp;
  readonly door: StripeDoor;
  readonly oracle: Oracle;
  readonly random: SeededRandom;
}

async function oneRound({ number, folder, app, door, oracle, random }: Round): Promise<Struck> {
  const strike = choose(random);
  const { onAnswered, struckBy } = arm(app, door, folder, strike);
  const onAnswer = (token: string): void => {
    oracle.acknowledged(token);
    onAnswered();
  };
  // An app that is killed while it starts may never listen.
  const port = await app.port.catch(() => null);
  const failures =
    port === null ? [] : (await load({ port, oracle, random, prefix: String(number), onAnswer })).failures;
  await app.gone;
  expect(app.child.signalCode).toBe("SIGKILL");
  expect({ strike, listened: port !== null || strike.at === "start" || strike.at === "drain" }).toEqual({
    strike,
    listened: true,
  });
  // Only the kill may break a response.
  for (const failure of failures) expect(failure).toMatch(/ECONNRESET|ECONNREFUSED|socket hang up|EPIPE|aborted/);
  return struckBy();
}

it("kill -9 under HTTP load, at any moment of journal, worker and delivery: every answered request is counted and billed once", async () => {
  const rounds = depthOr("KILLS", { ci: 100, long: 2_000 });
  const checkEvery = depth({ ci: 10, long: 50 });
  const random = testRandom();
  const folder = emptyFolder();
  const oracle = await startOracle();
  const stripe = await startStripeProgram(COMPANIES);
  const door = await openStripeDoor(stripe.url);
  writeConfiguration(folder, door.url);
  const struck = { start: 0, drain: 0, answer: 0, report: 0, clock: 0 };
  let offsetMs = 0;
  const tell = progress("kill -9 under load", rounds);
  try {
    for (let round = 1; round <= rounds; round++) {
      // Sometimes the dead reporter's lease is over and sometimes not; the windows of before are closed.
      offsetMs += random.between(MINUTE_MS, 5 * MINUTE_MS);
      await stripe.setOffset(offsetMs);
      const framework = round % 2 === 0 ? "express" : "node";
      const durability = { APP_DURABILITY: round % 3 === 0 ? "power" : "process" };
      const app = startApp({ folder, framework, env: { ...programEnvironment(offsetMs), ...durability } });
      struck[await oneRound({ number: round, folder, app, door, oracle, random })] += 1;
      tell(round);
      if (round % checkEvery === 0) {
        const env = programEnvironment(offsetMs);
        expectWhole(await oracle.check({ directory: folder, stripeUrl: stripe.url, settled: false, env }));
      }
    }
    door.onReport = () => undefined;
    const env = programEnvironment(await settleReports(folder, stripe, offsetMs));
    const verdict = await oracle.check({ directory: folder, stripeUrl: stripe.url, env });
    recordFigures({
      test: "kill -9 of the app under HTTP load",
      rounds,
      ...figuresOf(verdict),
      note: `struck ${struck.start} × at start, ${struck.drain} × in the drain, ${struck.answer} × after an answer, ${struck.report} × while reporting, ${struck.clock} × at any time`,
    });
    expectWhole(verdict);
    expect(Object.keys(verdict.companies).toSorted()).toEqual([...COMPANIES]);
    expect(verdict.acknowledged).toBeGreaterThan(rounds * 10);
    expect(Math.min(struck.report, struck.drain)).toBeGreaterThan(rounds / 20);
  } finally {
    await oracle.close();
  }
});
