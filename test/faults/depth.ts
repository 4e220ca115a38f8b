import { randomInt } from "node:crypto";

import { onTestFailed } from "vitest";

/** How much a run tries: `ci` on every change, `long` before a release (FAULT_DEPTH=long). */
export type Depth = "ci" | "long";

/** The depth of this run. */
export const runDepth: Depth = process.env["FAULT_DEPTH"] === "long" ? "long" : "ci";

/** What this run's depth asks for. */
export function depth<Amount>(amounts: Readonly<Record<Depth, Amount>>): Amount {
  return amounts[runDepth];
}

/** A stream of chance that is wholly its seed's. */
export interface SeededRandom {
  readonly seed: number;
  /** In [0, 1). */
  next(): number;
  /** A whole number in [least, beyond). */
  between(least: number, beyond: number): number;
  pick<Choice>(choices: readonly Choice[]): Choice;
}

/** The stream of a seed: mulberry32, enough for choices in tests. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (least: number, beyond: number): number => least + Math.floor(next() * (beyond - least));
  return {
    seed,
    next,
    between,
    pick(choices) {
      const [first] = choices;
      if (first === undefined) throw new Error("there is nothing to pick from");
      return choices[between(0, choices.length)] ?? first;
    },
  };
}

/** The running test's chance: SEED=… replays what a failure has printed. Call it inside the test. */
export function testRandom(): SeededRandom {
  const given = process.env["SEED"];
  const random = seededRandom(given === undefined ? randomInt(2 ** 31) : Number(given));
  onTestFailed(() => console.error(`SEED=${random.seed} FAULT_DEPTH=${runDepth} replays the choices of this test.`));
  return random;
}
