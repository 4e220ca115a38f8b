import { versionSpans } from "../../core/meter-timeline.ts";
import type { MeterVersion } from "../../core/meter.ts";
import { ownMembers } from "../../core/own-member.ts";

/** The first and the last instant that a date can have: a meter that counts from or to there has no bound. */
export const FIRST_INSTANT = -8_640_000_000_000_000;
export const LAST_INSTANT = 8_640_000_000_000_000;

/** One meter's time from its making to its end; a key may be used anew, and what counts is then its last life. */
export interface MeterLife {
  readonly newest: MeterVersion;
  /** The version with which it began. */
  readonly first: MeterVersion;
  /** Event time from which it counts, milliseconds UTC. */
  readonly from: number;
  /** Event time at which it ended; null while it lives. */
  readonly endedAt: number | null;
}

/** The last life of each meter key, in the order in which the keys were first stored. */
export function meterLives(versions: readonly MeterVersion[]): ReadonlyMap<string, MeterLife> {
  const histories = new Map<string, MeterVersion[]>();
  for (const version of versions.map(ownMembers)) {
    const history = histories.get(version.definition.key);
    if (history === undefined) histories.set(version.definition.key, [version]);
    else history.push(version);
  }
  return new Map([...histories].flatMap(([key, history]) => [...lifeOf(history)].map((life) => [key, life] as const)));
}

/** The last life of one meter; null for a key that nobody used. */
export function meterLife(versions: readonly MeterVersion[], key: string): MeterLife | null {
  return meterLives(versions.filter(({ definition }) => definition.key === key)).get(key) ?? null;
}

function lifeOf(history: readonly MeterVersion[]): readonly MeterLife[] {
  const sorted = history.toSorted((a, b) => a.version - b.version);
  const newest = sorted.at(-1);
  if (newest === undefined) return [];
  const isEnded = newest.ended === true;
  const living = isEnded ? sorted.slice(0, -1) : sorted;
  const first = living[living.findLastIndex(({ ended }) => ended === true) + 1] ?? newest;
  // A life before this one may count from further back: its span is its own.
  const spans = versionSpans(living).filter(({ version }) => version.version >= first.version);
  const gap = spans.findLastIndex(({ version }) => version.ended === true);
  const from = spans[gap + 1]?.from ?? newest.effectiveFrom;
  return [{ newest, first, from, endedAt: isEnded ? newest.effectiveFrom : null }];
}
