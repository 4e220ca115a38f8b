import { MeterbookError } from "../../core/errors.ts";
import { replayVersions } from "../../core/meter-timeline.ts";
import type { MeterVersion } from "../../core/meter.ts";
import { ownMembers } from "../../core/own-member.ts";
import { bucketStart } from "../../core/usage.ts";
import type { OnProgress } from "../ingest/refold.ts";
import type { Store, StoreView } from "../ports.ts";
import { deletedUntil, rejudge } from "./rejudge.ts";
import { replayedCompanies, type ReplayedCompany } from "./replay-figures.ts";

export interface ReplayOrder {
  readonly store: Store;
  readonly meter: string;
  /** Events from this instant on, and before `to` when it is given, are judged by the meter's newest version. */
  readonly from: number;
  readonly to: number | null;
  /** `operator:<name>`, and why; both are kept with the version. */
  readonly author: string;
  readonly cause: string;
  readonly now: number;
  /** Shows what would change, and changes nothing. */
  readonly dryRun: boolean;
  readonly onProgress?: OnProgress;
}

export interface ReplaySummary {
  readonly meter: string;
  /** The instants between which events are judged otherwise, milliseconds UTC, half-open. */
  readonly from: number;
  readonly to: number;
  /** Number of the version that judges them from now on. */
  readonly version: number;
  /** Events that were judged again, and of how many the meter holds its share, before and after. */
  readonly events: number;
  readonly held: { readonly before: number; readonly after: number };
  /** Only companies whose usage of the meter is not as before. */
  readonly companies: readonly ReplayedCompany[];
  readonly applied: boolean;
}

/**
 * Judges stored events of the past by the newest version of a meter instead of the versions of their time. Nothing is
 * rewritten: a version is added that begins in the past, with author and cause, and windows that were reported get
 * corrections when they are closed again. Throws METER_UNKNOWN_METER; METER_CORRECTION_REFUSED when nothing can be judged
 * otherwise, or events of that time are deleted; METER_STORE_BUSY when usage arrives faster than it can be caught up with.
 */
export async function replayMeter(order: ReplayOrder): Promise<ReplaySummary> {
  const { store, meter, author, cause, now, dryRun, onProgress } = order;
  const summary = await rejudge({
    store,
    meter,
    dryRun,
    changeOf: async (stored, view) => {
      const change = replayVersions(stored, meter, order, { author, cause, at: now });
      if (change === null) throw nothingToReplay(stored, order);
      await assertKept(view, bucketStart(change.from, view.bucketMs));
      return change;
    },
    summaryOf: async ({ change, catalog, from, to, before, after, ...numbers }, view) => ({
      meter,
      from: change.from,
      to: change.until,
      version: change.add[0]?.version ?? 0,
      events: numbers.events,
      held: { before: numbers.heldBefore, after: numbers.heldAfter },
      companies: await replayedCompanies(view, catalog, meter, { from, to, before, after }),
    }),
    onProgress: ({ events }) => onProgress?.(events),
  });
  return { ...summary, applied: !dryRun };
}

/** Usage of deleted events cannot be judged again. */
async function assertKept(view: StoreView, from: number): Promise<void> {
  const until = await deletedUntil(view, from);
  if (until === null) return;
  // From the next whole bucket on.
  const kept = bucketStart(until - 1, view.bucketMs) + view.bucketMs;
  throw refusal(
    `Events of before ${new Date(until).toISOString()} are deleted (storage.keepEvents); only their usage is kept, and it cannot be judged again.`,
    `Replay --from ${new Date(kept).toISOString()} or later.`,
  );
}

function nothingToReplay(stored: readonly MeterVersion[], { meter, from }: ReplayOrder): MeterbookError {
  const versions = stored.filter(({ definition }) => definition.key === meter);
  const newest = versions.toSorted((a, b) => b.version - a.version)[0];
  if (newest === undefined)
    return new MeterbookError("METER_UNKNOWN_METER", `There is no meter ${JSON.stringify(meter)}.`, {
      remedy: `Known: ${[...new Set(stored.map(({ definition }) => definition.key))].join(", ")}.`,
    });
  if (ownMembers(newest).ended === true)
    return refusal(`${meter} has left the configuration and counts nothing.`, "Put it back first.");
  return refusal(
    `The newest version of ${meter} counts from ${instantOf(newest.effectiveFrom)} on already, so nothing from ${instantOf(from)} on would change.`,
    "Edits of the configuration take effect when the app starts; replay after that.",
  );
}

/** Readable also where it is no date. */
function instantOf(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time);
}

function refusal(message: string, remedy: string): MeterbookError {
  return new MeterbookError("METER_CORRECTION_REFUSED", message, { remedy });
}
