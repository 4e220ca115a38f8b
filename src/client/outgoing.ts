import type { AttemptOptions } from "./attempts.ts";
import { deliverBoundary, deliverEvents, type Outcome, type Parcel } from "./delivery.ts";

/** How much goes into one call. */
export interface BatchBounds {
  readonly events: number;
  readonly bytes: number;
}

/** How many of these go into the next call: a session's boundary goes alone, so that starts and ends keep their order. */
export function callLength(parcels: readonly Parcel[], batch: BatchBounds): number {
  let bytes = 0;
  let count = 0;
  for (const { event, text } of parcels) {
    if (event.kind !== "event") return Math.max(count, 1);
    bytes += text.length;
    if (count > 0 && (bytes > batch.bytes || count >= batch.events)) break;
    count += 1;
  }
  return count;
}

/** Makes the one call for these parcels. */
export async function deliver(
  options: AttemptOptions,
  parcels: readonly Parcel[],
  stop: AbortSignal,
): Promise<readonly Outcome[]> {
  const [first] = parcels;
  if (first === undefined) return [];
  return first.event.kind === "event"
    ? deliverEvents(options, parcels, stop)
    : [await deliverBoundary(options, first, stop)];
}
