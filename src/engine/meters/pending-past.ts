import type { Store, StoreView } from "../ports.ts";

/** A past that is counted step by step: what is left to do if the process dies. */
interface PendingPast {
  /** Event time down to which it is to be judged. */
  readonly from: number;
  /** Whose work it is. */
  readonly turn: string;
}

/** What is left of a meter's past; null where nothing is. */
export async function readPending(store: Pick<StoreView, "getNote">, meter: string): Promise<PendingPast | null> {
  const note = (await store.getNote(noteOf(meter))) ?? "";
  if (note === "") return null;
  const pending: PendingPast = JSON.parse(note);
  return pending;
}

/** Notes what is left of a meter's past; null: nothing. */
export async function writePending(
  store: Pick<Store, "getNote" | "putNote">,
  meter: string,
  pending: PendingPast | null,
): Promise<void> {
  if (pending === null && (await readPending(store, meter)) === null) return;
  await store.putNote(noteOf(meter), pending === null ? "" : JSON.stringify(pending));
}

function noteOf(meter: string): string {
  return `meter.past.${meter}`;
}
