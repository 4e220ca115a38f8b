import { brokenPromises } from "./oracle.ts";
import { simulate } from "./simulated-run.ts";

/** What one seed came to. */
export interface SeedEnd {
  readonly seed: number;
  /** One sentence for each broken promise; empty = all held. */
  readonly broken: readonly string[];
  /** What happened, as a hash. */
  readonly trace: string;
  readonly acknowledged: number;
  readonly crashes: number;
  readonly reports: number;
}

/** Runs one seed, judges it, and gives everything back. */
export async function playSeed(seed: number): Promise<SeedEnd> {
  const end = await simulate(seed);
  try {
    const { trace, book, crashes, wire } = end;
    const broken = await brokenPromises(end);
    return { seed, broken, trace, acknowledged: book.acknowledged.size, crashes, reports: wire.reports.length };
  } finally {
    await end.close();
  }
}

/** The command that runs one seed again. */
export function replayLine(seed: number): string {
  return `SIM_SEED=${seed} npx vitest run --config test/faults/vitest.config.ts test/simulation`;
}
