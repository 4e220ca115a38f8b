import { completeEvent, isVoiding } from "../../core/amended-event.ts";
import type { UsageEvent } from "../../core/event.ts";
import type { StoredEvent } from "../ports.ts";

/** A record's event as it is known now: a company that was assigned later is its user. */
export function amendedEventOf({ event, amendments }: StoredEvent): UsageEvent {
  return amendments.reduce((known, fact) => (isVoiding(fact) ? known : completeEvent(known, fact)), event);
}
