import { subscriptionRemedy, type UnsubscribedLane } from "../engine/outbox/unsubscribed.ts";
import { visible } from "./output.ts";

const SHOWN_MAX = 10;

/** Whose usage is held because no subscription bills it, and what to do: a line each, the first ten. */
export function unsubscribedLines(lanes: readonly UnsubscribedLane[]): readonly string[] {
  const lines = lanes.slice(0, SHOWN_MAX).map((lane) => {
    const rows = `${lane.rows} ${lane.rows === 1 ? "row" : "rows"}`;
    return `${visible(lane.company)}: ${rows} held, no subscription at that time: ${visible(subscriptionRemedy(lane))}`;
  });
  return lanes.length > SHOWN_MAX ? [...lines, `and ${lanes.length - SHOWN_MAX} more like these`] : lines;
}
