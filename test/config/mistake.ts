import { EXAMPLE } from "./example.ts";

/** One mistake in a configuration: where it is, independently of what is printed, and the whole text that is printed. */
export interface Mistake {
  readonly name: string;
  readonly text: string;
  /** What stands at the printed line and column. */
  readonly at: string;
  readonly printed: string;
}

/** The example with one part of it replaced. */
export function edited(name: string, from: string, to: string, at: string, printed: string): Mistake {
  if (EXAMPLE.split(from).length !== 2) throw new Error(`${JSON.stringify(from)} is not in the example exactly once`);
  return { name, text: EXAMPLE.replace(from, () => to), at, printed };
}

/** A text of its own. */
export const written = (name: string, text: string, at: string, printed: string): Mistake => ({
  name,
  text,
  at,
  printed,
});
