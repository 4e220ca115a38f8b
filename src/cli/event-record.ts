import type { UsageEvent } from "../core/event.ts";
import { instant } from "./output.ts";

/** An event as --json prints it: as it is stored, with its instants as RFC 3339. */
export function eventRecord({ time, recordedAt, ...facts }: UsageEvent): object {
  const { source, id, type, ...rest } = facts;
  const received = recordedAt === undefined ? {} : { recordedAt: instant(recordedAt) };
  return { source, id, type, time: instant(time), ...received, ...rest };
}
