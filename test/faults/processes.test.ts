import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeEach, expect, it, onTestFinished } from "vitest";

import { cli, records } from "../cli/cli.ts";
import { LiveClock, onTheWay } from "./clock-live.ts";
import { depth, testRandom, type SeededRandom } from "./depth.ts";
import { recordFigures } from "./figures.ts";
import { load } from "./load.ts";
import { startApp, type MeteredApp } from "./metered-app.ts";
import { needs } from "./needs.ts";
import { expectWhole, figuresOf, startOracle, type Attempt, type Oracle } from "./oracle.ts";
import { COMPANIES, emptyFolder, ended, programEnvironment, startStripeProgram, writeConfiguration } from "./place.ts";
import { settleReports } from "./settle.ts";

/** Requests to each app. */
const REQUESTS = depth({ ci: 500, long: 20_000 });
/** Longer than a window and every lease. */
const LATER_MS = 3 * 60_000;
const WAIT_MS = 60_000;
/** Pieces of work that all processes track. */
const WORK = depth({ ci: 300, long: 10_000 });

beforeEach((context) => needs(context, "libfaketime"));

async function openOracle(): Promise<Oracle> {
  const oracle = await startOracle();
  onTestFinished(() => oracle.close());
  return oracle;
}

/** Loads an app; the one that is killed ends in the middle of it. Answers what failed and should not have. */
async function loadApp(
  app: MeteredApp,
  { oracle, random, name, isKilled }: { oracle: Oracle; random: SeededRandom; name: string; isKilled: boolean },
): Promise<readonly string[]> {
  let answers = 0;
  const { failures } = await load({
    port: await app.port,
    oracle,
    random,
    prefix: name,
    clients: 4,
    requests: REQUESTS,
    onAnswer: (token) => {
      oracle.acknowledged(token);
      if (++answers === REQUESTS / 2 && isKilled) app.child.kill("SIGKILL");
    },
  });
  return isKilled ? [] : failures;
}

it.each([2, 5])(
  "%i app processes on one database and one Stripe, one of them killed: every answer is counted and billed once",
  async (count) => {
    const random = testRandom();
    const folder = emptyFolder();
    const clock = new LiveClock();
    const oracle = await openOracle();
    const stripe = await startStripeProgram();
    writeConfiguration(folder, stripe.url);
    const apps = Array.from({ length: count }, () => startApp({ folder, env: clock.environment }));
    const killed = random.between(0, count);
    const round = async (name: string, kill: boolean): Promise<void> => {
      const failures = await Promise.all(
        apps
          .filter(({ child }) => child.signalCode === null)
          .map((app, at) =>
            loadApp(app, { oracle, random, name: `${name}-${at}`, isKilled: kill && app === apps[killed] }),
          ),
      );
      expect(failures.flat()).toEqual([]);
    };
    await round("first", false);
    // By everybody's clock the first windows have ended: all reporters wake up while the second load runs, and one dies.
    clock.set(LATER_MS);
    await stripe.setOffset(LATER_MS);
    await round("second", true);
    const living = apps.filter((_, at) => at !== killed);
    for (const app of living) expect(await app.flush()).toBeNull();
    clock.set(2 * LATER_MS);
    await stripe.setOffset(2 * LATER_MS);
    const before = Math.floor((Date.now() + LATER_MS) / 60_000) * 60_000;
    await expect.poll(() => onTheWay(folder, before), { timeout: WAIT_MS }).toEqual({ open: 0, unanswered: 0 });
    // Nobody complained of the others.
    const told = new Set(living.flatMap(({ notices }) => notices.map(({ code }) => code)));
    expect([...told]).toEqual(["METER_CONFIG_DOUBTFUL"]);
    for (const app of living) await ended(app.child);

    const offsetMs = await settleReports(folder, stripe, 2 * LATER_MS);
    const verdict = await oracle.check({ directory: folder, stripeUrl: stripe.url, env: programEnvironment(offsetMs) });
    recordFigures({ test: `${count} app processes, one killed`, rounds: 1, ...figuresOf(verdict) });
    expectWhole(verdict);
    expect(verdict.acknowledged).toBeGreaterThanOrEqual((2 * count - 1) * REQUESTS + REQUESTS / 2);
  },
);

it.each([2, 5])(
  "the same events tracked by %i processes at once, one of them killed, are stored and counted once",
  async (count) => {
    const random = testRandom();
    const folder = emptyFolder();
    const config = join(folder, "meterbook.yaml");
    writeFileSync(
      config,
      "version: 1\nstorage: { path: ./meter.db }\nmeters:\n  chat_tokens: { aggregate: sum, value: metadata.tokens }\n",
    );
    const oracle = await openOracle();
    const work: Attempt[] = Array.from({ length: WORK }, (_, at) => ({
      token: `work-${at}`,
      company: random.pick(COMPANIES),
      tokens: `${at}.${random.between(1, 10)}`,
    }));
    for (const attempt of work) oracle.attempted(attempt);
    const children = await Promise.all(Array.from({ length: count }, () => startTracker(config)));
    const told = new Set<string>();
    let saysYes = 0;
    for (const [at, child] of children.entries()) {
      let tracked = 0;
      child.on("message", ({ token }: { token?: string }) => {
        if (token === undefined) return;
        saysYes += 1;
        if (!told.has(token)) oracle.acknowledged(token);
        told.add(token);
        if (++tracked === WORK / 2 && at === 0) child.kill("SIGKILL");
      });
    }
    const finished = children.map((child, at) => (at === 0 ? once(child, "exit") : done(child)));
    // Each in its own order: the first copy of an event comes from any of them.
    for (const child of children) child.send({ work: work.toSorted(() => random.next() - 0.5) });
    await Promise.all(finished);
    for (const child of children) await ended(child);

    const verdict = await oracle.check({ directory: folder });
    const [status] = records(await cli(folder, ["status", "--json"]));
    recordFigures({
      test: `the same events from ${count} processes`,
      rounds: 1,
      ...figuresOf(verdict),
      note: `each said yes to by up to ${count} processes: ${saysYes} times in all`,
    });
    expectWhole(verdict);
    expect(verdict).toMatchObject({ acknowledged: WORK, stored: WORK });
    expect(status).toMatchObject({ events: WORK, conflicts: 0, held: 0, backlog: 0 });
    expect(saysYes).toBeGreaterThanOrEqual((count - 1) * WORK + WORK / 2);
  },
);

async function startTracker(config: string): Promise<ChildProcess> {
  const child = fork(join(import.meta.dirname, "processes-tracker.js"), [config], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  onTestFinished(() => ended(child));
  await once(child, "message");
  return child;
}

/** Resolves when a process has tracked all and its own journal is in the database. */
function done(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on("message", (message: { done?: true }) => {
      if (message.done === true) resolve();
    });
    child.on("exit", () => reject(new Error("a process ended before its work did")));
  });
}
