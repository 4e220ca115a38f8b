import type { HeldLane, Store } from "../ports.ts";

const NOTE = "held.looked_at";

/** With which knowledge of its billing periods the rows of each lane were last looked at, from round to round. */
export interface LookedLanes {
  /** Whether nothing that was known then has changed. A lane without any known period needs no look. */
  readonly isAsBefore: (lane: HeldLane, knownAs: string) => boolean;
  readonly keep: (lane: HeldLane, knownAs: string) => void;
  /** Writes what was kept in this round, of lanes that are there still. */
  readonly write: () => Promise<void>;
}

/**
 * Opens what is kept of the lanes' last looks, so that what waits for a subscription for months is not read again in every
 * round. Once a day (UTC) each lane is looked at anyway: rows grow too old, and a policy may then carry them.
 */
export async function openLookedLanes(
  store: Pick<Store, "getNote" | "putNote">,
  lanes: readonly HeldLane[],
  now: number,
): Promise<LookedLanes> {
  const note = await store.getNote(NOTE);
  const kept: readonly (readonly [name: string, look: string])[] = note === null ? [] : JSON.parse(note);
  const present = new Set(lanes.map(laneName));
  const looks = new Map(kept.filter(([name]) => present.has(name)));
  const day = Math.floor(now / DAY_MS);
  return {
    isAsBefore: (lane, knownAs) => knownAs === "" || looks.get(laneName(lane)) === `${day} ${knownAs}`,
    keep: (lane, knownAs) => {
      if (knownAs !== "") looks.set(laneName(lane), `${day} ${knownAs}`);
    },
    write: async () => {
      const text = JSON.stringify([...looks]);
      if (text !== (note ?? "[]")) await store.putNote(NOTE, text);
    },
  };
}

/** What names a lane of held rows in a note. */
export function laneName({ company, reportAs }: HeldLane): string {
  return JSON.stringify([company, reportAs]);
}

const DAY_MS = 86_400_000;
