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
