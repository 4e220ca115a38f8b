import type { MeterVersion, ReplayNote } from "./meter.ts";
import { ownMembers } from "./own-member.ts";

/** A version with the span of event time in which it counts: half-open, milliseconds UTC. */
export interface VersionSpan {
  readonly version: MeterVersion;
  readonly from: number;
  readonly until: number;
}

/**
 * When each version of one meter counts, by event time: at any time the greatest version that has begun. Edits begin one
 * after the other; one that was replayed begins in the past, and overrides all before it from there on.
 */
export function versionSpans(history: readonly MeterVersion[]): readonly VersionSpan[] {
  const spans: VersionSpan[] = [];
  let until = Infinity;
  for (const version of history.toSorted((a, b) => b.version - a.version)) {
    const from = version.effectiveFrom;
    if (from >= until) continue;
    spans.push({ version, from, until });
    until = from;
  }
  return spans.toReversed();
}

/** What replaying a meter adds, and which event times it changes. */
export interface ReplayChange {
  readonly add: readonly MeterVersion[];
  readonly from: number;
  /** Exclusive: from here on everything counts as before. */
  readonly until: number;
}

/**
 * Puts the newest version of a meter into force from `from` on, and up to `to` when that is given: what counted from there
 * on is added once more behind it. Null when nothing would change: the newest version counts from `from` on already, it
 * has ended, or the meter is not known.
 */
export function replayVersions(
  stored: readonly MeterVersion[],
  meter: string,
  { from, to }: { readonly from: number; readonly to: number | null },
  replayed: ReplayNote,
): ReplayChange | null {
  const spans = versionSpans(stored.map(ownMembers).filter(({ definition }) => definition.key === meter));
  const newest = spans.at(-1);
  const until = Math.min(newest?.from ?? from, to ?? Infinity);
  if (newest === undefined || newest.version.ended === true || from >= until) return null;
  const rest = until === newest.from ? [] : spans.filter((span) => span.until > until);
  // Before the first version nothing counted, and from `to` on that stays so.
  const isBefore = rest[0] !== undefined && rest[0].from > until;
  const gap = isBefore ? [{ version: { ...newest.version, ended: true }, from: until }] : [];
  const wanted = [{ version: newest.version, from }, ...gap, ...rest];
  const add = wanted.map(({ version, from: begin }, place) => {
    const effectiveFrom = place === 0 ? from : Math.max(begin, until);
    return { ...version, version: newest.version.version + 1 + place, effectiveFrom, replayed };
  });
  return { add, from, until };
}
