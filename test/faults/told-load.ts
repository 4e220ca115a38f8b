import { expect } from "vitest";

import { testRandom, type SeededRandom } from "./depth.ts";
import { load } from "./load.ts";
import { startApp, type MeteredApp } from "./metered-app.ts";
import { startOracle, type Oracle } from "./oracle.ts";
import { emptyFolder, writeConfiguration } from "./place.ts";

/** What became of some requests while something failed. */
export interface ToldLoad {
  readonly answered: number;
  /** Answered, and the app knows and says that it could not record them. */
  readonly refused: number;
}

export interface ToldLoadOptions {
  readonly app: MeteredApp;
  readonly oracle: Oracle;
  readonly random: SeededRandom;
  readonly prefix: string;
  readonly requests: number;
  readonly padBytes?: number;
}

/** An app that tells, in a folder of its own, with the oracle of what it was sent. */
export interface Telling {
  readonly random: SeededRandom;
  readonly folder: string;
  readonly oracle: Oracle;
  readonly app: MeteredApp;
  readonly pid: number;
}

export async function startTelling(): Promise<Telling> {
  const folder = emptyFolder();
  writeConfiguration(folder, null);
  const oracle = await startOracle();
  const app = startApp({ folder, env: { APP_TELLS: "yes" } });
  return { random: testRandom(), folder, oracle, app, pid: app.child.pid ?? 0 };
}

/**
 * Sends requests to an app that tells (APP_TELLS) and demands: each was answered, and each answered one was recorded, or is
 * counted as refused and a notice was given. Those that were recorded are the oracle's from here on.
 */
export async function toldLoad({ app, oracle, ...options }: ToldLoadOptions): Promise<ToldLoad> {
  const before = await app.stats();
  const port = await app.port;
  const { answered, failures } = await load({ port, oracle, onAnswer: () => undefined, ...options });
  // Metering never breaks a response.
  expect(failures).toEqual([]);
  expect(answered).toHaveLength(options.requests);
  const after = await app.stats();
  const recorded = answered.filter((token) => app.recorded.has(token));
  for (const token of recorded) oracle.acknowledged(token);
  const refused = after.refused - before.refused;
  expect({ refused, errors: after.errors }).toEqual({ refused: answered.length - recorded.length, errors: 0 });
  if (refused > 0)
    expect(app.notices.map(({ code }) => code)).toContainEqual(expect.stringMatching(/^METER_(JOURNAL|BACKLOG)_/));
  return { answered: answered.length, refused };
}

const TRIES_MAX = 40;

/** Sends requests a few at a time until one of them was recorded again; the journal tries once a second. */
export async function untilRecording(options: Omit<ToldLoadOptions, "requests">): Promise<ToldLoad> {
  let answered = 0;
  let refused = 0;
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const found = await toldLoad({ ...options, prefix: `${options.prefix}-again${tries}`, requests: 40 });
    answered += found.answered;
    refused += found.refused;
    if (found.refused === 0) return { answered, refused };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("The journal does not go on.");
}

/** Asks the app to flush until the store took everything. */
export async function untilStored(app: MeteredApp): Promise<void> {
  let said: string | null = null;
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    said = await app.flush();
    if (said === null) return;
  }
  throw new Error(`The store does not go on: ${said}`);
}
