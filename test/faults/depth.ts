import { randomInt } from "node:crypto";

import { onTestFailed } from "vitest";

import { seededRandom, type SeededRandom } from "./seeded-random.ts";

export { seededRandom, type SeededRandom };

/** How much a run tries: `ci` on every change, `long` before a release (FAULT_DEPTH=long). */
export type Depth = "ci" | "long";

/** The depth of this run. */
const runDepth: Depth = process.env["FAULT_DEPTH"] === "long" ? "long" : "ci";

/** What this run's depth asks for. */
export function depth<Amount>(amounts: Readonly<Record<Depth, Amount>>): Amount {
  return amounts[runDepth];
}

/** What a variable of the environment asks for instead, a whole number from 1 on; without it what this run's depth asks for. */
export function depthOr(variable: string, amounts: Readonly<Record<Depth, number>>): number {
  const given = process.env[variable];
  if (given === undefined || given === "") return depth(amounts);
  if (!/^[1-9]\d{0,15}$/.test(given)) throw new Error(`${variable} must be a whole number from 1 on, not ${given}`);
  givenAmounts.push(`${variable}=${given}`);
  return Number(given);
}

const givenAmounts: string[] = [];

/** The depth of this run as the page of figures says it: with the amounts that were given instead of the depth's own. */
export function depthLabel(): string {
  return [runDepth, ...givenAmounts].join(", ");
}

/** The running test's chance: SEED=… replays what a failure has printed. Call it inside the test. */
export function testRandom(): SeededRandom {
  const given = process.env["SEED"];
  const random = seededRandom(given === undefined ? randomInt(2 ** 31) : Number(given));
  onTestFailed(() => console.error(`SEED=${random.seed} FAULT_DEPTH=${runDepth} replays the choices of this test.`));
  return random;
}
