import { changedClosedWindows } from "../corrections/replay-figures.ts";
import { rejudge, type Rejudged, type RejudgeOrder } from "../corrections/rejudge.ts";
import { limits } from "../limits.ts";
import type { Store, StoreView } from "../ports.ts";
import { assertNoMistakes } from "../registry/refusals.ts";
import type { MeterEffect } from "./meter-view.ts";

/** Called while stored events are read: how many of how many, by their numbers of arrival. */
export type BackfillProgress = (read: number, total: number) => void;

/** A meter's past judged by new versions, and what that does. */
export interface Backfill {
  readonly store: Store;
  readonly meter: string;
  /** Type of the events that can count; null = any. */
  readonly eventType: string | null;
  readonly changeOf: RejudgeOrder<MeterEffect>["changeOf"];
  readonly dryRun: boolean;
  readonly onProgress?: BackfillProgress | undefined;
}

/** Counts the past anew, all at once, and says what that does. METER_REQUEST_INVALID where it is too much for one go. */
export function backfill({ store, meter, eventType, changeOf, dryRun, onProgress }: Backfill): Promise<MeterEffect> {
  return rejudge({
    store,
    meter,
    changeOf,
    ...(eventType === null ? {} : { type: eventType }),
    dryRun,
    summaryOf: (rejudged, view) => effectOf(rejudged, view, meter),
    onProgress: ({ seq, lastSeq, buckets }) => {
      if (buckets > limits.backfillBucketsMax) refuseSize();
      onProgress?.(seq, lastSeq);
    },
  });
}

async function effectOf(rejudged: Rejudged, view: StoreView, meter: string): Promise<MeterEffect> {
  const { counted, first, last } = rejudged;
  const reportedWindows = await changedClosedWindows(view, meter, rejudged);
  return { events: counted, reportedWindows, from: first, to: last === null ? null : last + 1 };
}

function refuseSize(): void {
  const message = `the past of this meter has more than ${limits.backfillBucketsMax} figures (customers × labels × time); state a later eventFrom, or fewer labels`;
  assertNoMistakes("The meter counts too much at once", [{ pointer: "/eventFrom", message }]);
}
