import { join } from "node:path";

import SqliteDatabase from "better-sqlite3";
import { beforeEach, expect, it, onTestFinished } from "vitest";

import { earlyInMinute, LiveClock, onTheWay } from "./clock-live.ts";
import { testRandom, type SeededRandom } from "./depth.ts";
import { recordFigures } from "./figures.ts";
import { load } from "./load.ts";
import { startApp, type MeteredApp } from "./metered-app.ts";
import { needs } from "./needs.ts";
import { expectWhole, figuresOf, startOracle, type Oracle } from "./oracle.ts";
import {
  COMPANIES,
  emptyFolder,
  ended,
  programEnvironment,
  startStripeProgram,
  writeConfiguration,
  type StripeProgram,
} from "./place.ts";
import { settleReports } from "./settle.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Requests of one load; the clock jumps in its middle. */
const REQUESTS = 400;
const WAIT_MS = 30_000;

interface World {
  readonly folder: string;
  readonly app: MeteredApp;
  readonly clock: LiveClock;
  readonly stripe: StripeProgram;
  readonly oracle: Oracle;
  readonly random: SeededRandom;
  /** The offset that is right, as Stripe has it. */
  readonly rightMs: number;
}

/** Load, in whose middle the app's clock jumps. */
async function jumpUnderLoad({ app, clock, oracle, random }: World, prefix: string, offsetMs: number): Promise<void> {
  let answers = 0;
  const { failures } = await load({
    port: await app.port,
    oracle,
    random,
    prefix,
    clients: 4,
    requests: REQUESTS,
    onAnswer: (token) => {
      oracle.acknowledged(token);
      if (++answers === REQUESTS / 2) clock.set(offsetMs);
    },
  });
  expect(failures).toEqual([]);
  expect(await app.flush()).toBeNull();
}

async function billedIdentifiers({ stripe }: Pick<World, "stripe">): Promise<readonly string[]> {
  const answer = await fetch(`${stripe.url}/_local/ledger`);
  const ledger = (await answer.json()) as { readonly identifiers: readonly string[] }[];
  return ledger.flatMap(({ identifiers }) => identifiers);
}

async function openWorld(): Promise<World> {
  const folder = emptyFolder();
  const clock = new LiveClock();
  const oracle = await startOracle();
  onTestFinished(() => oracle.close());
  const stripe = await startStripeProgram();
  writeConfiguration(folder, stripe.url);
  const rightMs = earlyInMinute(0);
  clock.set(rightMs);
  await stripe.setOffset(rightMs);
  const app = startApp({ folder, env: clock.environment });
  return { folder, app, clock, stripe, oracle, random: testRandom(), rightMs };
}

const jumps = [
  ["an hour back", -HOUR_MS],
  ["ten minutes ahead", 10 * MINUTE_MS],
  ["a day ahead", DAY_MS],
  ["36 days ahead", 36 * DAY_MS],
] as const;

beforeEach((context) => needs(context, "libfaketime"));

it.each(jumps)(
  "the clock jumps %s under load: it is told, nothing is sent, lost or doubled, and reporting goes on when it is right again",
  async (name, wrongByMs) => {
    const world = await openWorld();
    const { folder, app, clock, stripe, oracle } = world;
    let { rightMs } = world;
    /** Some minutes later, by everybody's clock, the running app has reported what was used under the right one. */
    const reported = async (): Promise<readonly string[]> => {
      rightMs = earlyInMinute(rightMs + 2 * MINUTE_MS);
      await stripe.setOffset(rightMs);
      clock.set(rightMs);
      const minute = Math.floor((Date.now() + rightMs) / MINUTE_MS) * MINUTE_MS;
      await expect.poll(() => onTheWay(folder, minute), { timeout: WAIT_MS }).toEqual({ open: 0, unanswered: 0 });
      return billedIdentifiers(world);
    };
    await jumpUnderLoad(world, "first", rightMs);
    const billed = await reported();
    // Some usage that waits for its window's end, and is not old, whatever the clock says later.
    await jumpUnderLoad(world, "before", rightMs);
    await jumpUnderLoad(world, "wrong", rightMs + wrongByMs);
    await expect.poll(() => app.notices.map(({ code }) => code), { timeout: WAIT_MS }).toContain("METER_CLOCK_SKEW");
    // More load while it is wrong: rounds of reporting pass, not only the one that told it.
    await jumpUnderLoad(world, "still", rightMs + wrongByMs);
    expect(await billedIdentifiers(world)).toEqual(billed);
    await jumpUnderLoad(world, "right", rightMs);
    expect((await reported()).length).toBeGreaterThanOrEqual(billed.length + COMPANIES.length);
    await ended(app.child);

    // Usage that was stamped ahead is billed when its time has come.
    let offsetMs = await settleReports(folder, stripe, rightMs);
    if (wrongByMs > 0) offsetMs = await settleReports(folder, stripe, rightMs + wrongByMs);
    const verdict = await oracle.check({ directory: folder, stripeUrl: stripe.url, env: programEnvironment(offsetMs) });
    recordFigures({ test: `clock jumps ${name} under load`, rounds: 2, ...figuresOf(verdict) });
    expectWhole(verdict);
    expect(verdict.acknowledged).toBe(5 * REQUESTS);
    expectForward(folder, verdict.acknowledged);
    const identifiers = await billedIdentifiers(world);
    expect(new Set(identifiers).size).toBe(identifiers.length);
  },
);

/** No identity was given out twice, no duration is negative, and nothing is held for a time that a wrong clock stamped. */
function expectForward(folder: string, events: number): void {
  const db = new SqliteDatabase(join(folder, "meter.db"), { readonly: true });
  onTestFinished(() => void db.close());
  const ids = "SELECT count(*) AS events, count(DISTINCT id) AS ids, min(duration_ms) >= 0 AS forward FROM events";
  expect(db.prepare(ids).get()).toEqual({ events, ids: events, forward: 1 });
  expect(db.prepare("SELECT count(*) AS held FROM holds").get()).toEqual({ held: 0 });
  expect(db.prepare("SELECT count(*) AS conflicts FROM conflicts").get()).toEqual({ conflicts: 0 });
}
