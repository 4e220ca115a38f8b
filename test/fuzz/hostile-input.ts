import process from "node:process";

import * as fc from "fast-check";
import { expect } from "vitest";

import { isMeterbookError } from "../../src/core/errors.ts";

/** No input may take longer, whatever it says: CPU time, since the clock would measure the other programs of a busy machine. */
const INPUT_CPU_MS_MAX = 100;
/** Readings of one slow input, of which the shortest counts: a pause of the garbage collector is no slow parser. */
const READINGS_MAX = 5;

/** Seed and length of a fuzz run: SEED replays one, FUZZ_RUNS makes all of them so many times as long. */
export function fuzzed(runs: number): fc.Parameters<unknown> {
  const times = Number(process.env["FUZZ_RUNS"] ?? 1);
  return { seed: Number(process.env["SEED"] ?? 7), numRuns: Math.max(1, Math.round(runs * times)), endOnFailure: true };
}

/** The shortest input for which a property does not hold, with how to replay it; null when none was found. */
export function counterexample<Inputs extends unknown[]>(
  property: fc.IProperty<Inputs>,
  { seed, numRuns, endOnFailure }: fc.Parameters<unknown>,
): string | null {
  const run = fc.check(property, {
    ...(seed === undefined ? {} : { seed }),
    ...(numRuns === undefined ? {} : { numRuns }),
    endOnFailure: endOnFailure ?? true,
  });
  if (!run.failed) return null;
  const cause = run.errorInstance instanceof Error ? (run.errorInstance.stack ?? run.errorInstance.message) : "";
  return `SEED=${run.seed}: ${JSON.stringify(run.counterexample)?.slice(0, 2_000)}\n${cause}`;
}

/** Reads an input in time. Only a MeterbookError, or an error that `expected` names, may be thrown. */
export function answers(read: () => unknown, expected: (error: unknown) => boolean = () => false): void {
  let shortest = Infinity;
  for (let reading = 0; reading < READINGS_MAX && shortest > INPUT_CPU_MS_MAX; reading += 1) {
    const before = process.cpuUsage();
    try {
      read();
    } catch (error) {
      if (!isMeterbookError(error) && !expected(error)) throw error;
    }
    shortest = Math.min(shortest, cpuMsSince(before));
  }
  expect(shortest).toBeLessThanOrEqual(INPUT_CPU_MS_MAX);
}

/** `answers` for what is read asynchronously, with all that happens in the process meanwhile. */
export async function answersInTime(read: () => Promise<unknown>): Promise<void> {
  let shortest = Infinity;
  for (let reading = 0; reading < READINGS_MAX && shortest > INPUT_CPU_MS_MAX; reading += 1) {
    const before = process.cpuUsage();
    await read();
    shortest = Math.min(shortest, cpuMsSince(before));
  }
  expect(shortest).toBeLessThanOrEqual(INPUT_CPU_MS_MAX);
}

function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

/** Texts made of the words of a language, other texts, and both spliced. */
export function sentences(words: readonly string[], maxLength = 40): fc.Arbitrary<string> {
  const spoken = fc.array(fc.constantFrom(...words), { maxLength }).map((parts) => parts.join(""));
  const any = fc.string({ unit: "binary", maxLength: 60 });
  const repeated = fc
    .tuple(fc.constantFrom(...words), fc.integer({ min: 1, max: 3_000 }))
    .map(([word, times]) => word.repeat(times).slice(0, 10_000));
  const spliced = fc
    .tuple(spoken, any, fc.nat(40))
    .map(([text, part, at]) => text.slice(0, at) + part + text.slice(at));
  return fc.oneof(
    { weight: 5, arbitrary: spoken },
    { weight: 1, arbitrary: any },
    { weight: 1, arbitrary: repeated },
    { weight: 2, arbitrary: spliced },
  );
}

/** Names that objects seem to have, beside plain ones. */
export const NAMES: readonly string[] = ["a", "b", "request", "headers", "__proto__", "constructor", "toString", "x-y"];
