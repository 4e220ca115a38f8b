import type { ServiceFigures } from "../server/backend.ts";
import type { WriterHost } from "./host.ts";

/** What the store and the thread that writes stand at. */
export async function readFigures({ store, node, clock, drainedAt }: WriterHost): Promise<ServiceFigures> {
  const last = drainedAt();
  const holds = await store.holdTotals();
  return {
    counts: await store.counts(),
    backlogBytes: node.backlogBytes(),
    drainLagMs: last === null ? null : Math.max(0, clock.now() - last),
    holds: holds.map(({ meter, holds: count }) => ({ meter, holds: count })),
  };
}
