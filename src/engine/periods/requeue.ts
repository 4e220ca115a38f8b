import { MeterbookError } from "../../core/errors.ts";
import { limits } from "../limits.ts";
import type { RegisterEntry } from "../ports.ts";
import { change, entriesOf, entryNamed, partsPrefix, type Desk } from "./entries.ts";
import { recordBody, recordNames, type SinkState } from "./final-records.ts";

/** Which records are to be handed over again. */
export interface RequeueOrder {
  /** Where left out, every record that a sink failed. */
  readonly id?: string | undefined;
  /** Where left out, every sink that failed it. */
  readonly sink?: string | undefined;
}

/** A record that is on its way again, and to which sinks. */
export interface RequeuedRecord {
  readonly id: string;
  readonly sinks: readonly string[];
}

/**
 * Hands records over again that a sink refused, or did not take for days: from the next round on, for as long as the first
 * time. METER_NOT_FOUND; METER_CONFLICT for a record that no such sink failed.
 */
export async function requeueRecords(desk: Desk, { id, sink }: RequeueOrder): Promise<readonly RequeuedRecord[]> {
  const { store } = desk;
  const requeued: RequeuedRecord[] = [];
  if (id !== undefined) {
    await entryNamed(store, "final_record", id, "final record");
    const one = await requeue(desk, id, sink);
    if (one !== null) return [one];
    const which = sink === undefined ? "No sink" : `The sink ${sink}`;
    throw new MeterbookError("METER_CONFLICT", `${which} failed the record ${id}.`, {
      remedy: "What is pending is tried again by itself, and what was delivered is not sent again.",
    });
  }
  const namePrefix = sink === undefined ? partsPrefix("failed") : partsPrefix("failed", sink);
  const failed: string[] = [];
  for await (const entry of entriesOf(store, { kind: "final_record", namePrefix })) failed.push(entry.id);
  for (const each of new Set(failed)) {
    const one = await requeue(desk, each, sink);
    if (one !== null) requeued.push(one);
  }
  return requeued;
}

/** Null when there is nothing that failed. Another sink's state may be written meanwhile. */
async function requeue({ store, now, author }: Desk, id: string, sink?: string): Promise<RequeuedRecord | null> {
  for (let tries = 1; ; tries += 1) {
    const entry: RegisterEntry = await entryNamed(store, "final_record", id, "final record");
    const { record, sinks } = recordBody(entry);
    const isChosen = (each: SinkState): boolean => each.state === "failed" && (sink ?? each.sink) === each.sink;
    const chosen = sinks.filter(isChosen).map((each) => each.sink);
    if (chosen.length === 0) return null;
    const fresh = { state: "pending", attempts: 0, firstAt: null, nextAt: 0 } as const;
    const body = { record, sinks: sinks.map((each) => (isChosen(each) ? { ...each, ...fresh } : each)) };
    const changed = { kind: "final_record", id, seen: entry.revision, names: recordNames(body), body, author } as const;
    try {
      await change(store, [changed], now, "record");
      return { id, sinks: chosen };
    } catch (error) {
      if (tries === limits.amendTriesMax) throw error;
    }
  }
}
