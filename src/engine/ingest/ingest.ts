import type { Catalog } from "../../core/catalog.ts";
import type { UsageEvent } from "../../core/event.ts";
import { countsOf, holdsOf } from "./amended-event.ts";
import { limits } from "../limits.ts";
import type { IngestEntry, Store } from "../ports.ts";

/** What became of the events of one call, in numbers of events. */
export interface IngestSummary {
  readonly stored: number;
  /** Same identity, same content: already here. */
  readonly duplicates: number;
  /** Same identity, other content: the first one is kept, this one is counted and shown. */
  readonly conflicts: number;
  /** Stored events of which at least one meter holds its share. */
  readonly held: number;
}

/** Judges events and stores them with their usage, a bounded transaction at a time; a repeat of any part changes nothing. */
export async function ingest(
  store: Store,
  catalog: Catalog,
  events: readonly UsageEvent[],
  now: number,
): Promise<IngestSummary> {
  const summary = { stored: 0, duplicates: 0, conflicts: 0, held: 0 };
  for (let start = 0; start < events.length; start += limits.batchEventsMax) {
    const batch = events.slice(start, start + limits.batchEventsMax);
    const entries = batch.map((event) => entryOf(catalog, event, store.bucketMs));
    const statuses = await store.ingest(entries, now, catalog.revision);
    for (const [at, status] of statuses.entries()) {
      if (status === "stored") {
        summary.stored += 1;
        if ((entries[at]?.holds.length ?? 0) > 0) summary.held += 1;
      } else if (status === "duplicate") summary.duplicates += 1;
      else summary.conflicts += 1;
    }
  }
  return summary;
}

/** An event with what all meters say of it. */
export function entryOf(catalog: Catalog, event: UsageEvent, bucketMs: number): IngestEntry {
  const judged = { event, verdicts: catalog.judge(event) };
  return { event, counts: countsOf(judged, catalog, bucketMs), holds: holdsOf(judged) };
}
