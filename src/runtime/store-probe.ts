import { limits } from "../engine/limits.ts";
import type { Clock, Store } from "../engine/ports.ts";

/** The note that is written to see whether the store takes writes. */
const NOTE = "store-probe";

/** Rejects while the store takes no writes: a full disk reads well. It is tried out at most every limits.storeProbeMs. */
export function storeProbe(store: Pick<Store, "putNote">, clock: Clock): () => Promise<void> {
  let last: { readonly at: number; readonly outcome: Promise<void> } | null = null;
  return () => {
    const now = clock.now();
    if (last === null || Math.abs(now - last.at) >= limits.storeProbeMs)
      last = { at: now, outcome: store.putNote(NOTE, new Date(now).toISOString()) };
    return last.outcome;
  };
}
