import { completeEvent } from "../core/amended-event.ts";
import type { Amendment, JournalEntry, OpenPart, UsageEvent } from "../core/event.ts";
import type { Handout } from "./handout.ts";
import type { Segment } from "./writer-segments.ts";

/** Where a line stands: in memory nowhere. */
export interface LineOrigin {
  readonly segment: Segment;
  readonly offset: number;
}

interface OpenEvent {
  event: UsageEvent;
  open: readonly OpenPart[];
  readonly origin: LineOrigin | null;
  readonly since: number;
  /** Segments with lines of this event: they must stay until it is given out. */
  readonly holders: Segment[];
}

/** Joins amendments into events before they are given out; what was given out before is never changed, only amended. */
export class OpenEvents {
  readonly #handout: Handout;
  readonly #open = new Map<string, OpenEvent>();
  readonly #onParted: (origin: LineOrigin | null) => void;

  /** `onParted` hears of events that are given out although parts are open, before that happens. */
  constructor(handout: Handout, onParted: (origin: LineOrigin | null) => void) {
    this.#handout = handout;
    this.#onParted = onParted;
  }

  get size(): number {
    return this.#open.size;
  }

  /** When the event that is open longest was read; null when none is. Its own time, milliseconds since 1970 UTC. */
  get oldestTime(): number | null {
    for (const { event } of this.#open.values()) return event.time;
    return null;
  }

  /** Takes one line. `parted`: this event was given out with open parts once, and must look the same again. */
  add(entry: JournalEntry, origin: LineOrigin | null, now: number, parted = false): void {
    if (entry.kind === "amendment") this.#amend(entry.amendment, origin);
    else if (entry.open.length === 0) this.#handout.give(entry.event);
    else if (parted) this.#handout.give(withoutAnswer(entry.event, entry.open));
    else this.#wait(entry.event, entry.open, origin, now);
  }

  /** Gives out, oldest first, the open events that `isDue` names, with what is known; at most `eventsMax`. */
  part(isDue: (origin: LineOrigin | null, since: number) => boolean, eventsMax: number): void {
    let room = eventsMax;
    for (const [key, waiting] of this.#open) {
      if (room <= 0) return;
      if (!isDue(waiting.origin, waiting.since)) continue;
      room--;
      this.#onParted(waiting.origin);
      this.#finish(key, { ...waiting, event: withoutAnswer(waiting.event, waiting.open) });
    }
  }

  /** Forgets the events of a segment that another reader has committed and deleted. */
  forget(segment: Segment): void {
    for (const [key, waiting] of this.#open) if (waiting.origin?.segment === segment) this.#release(key, waiting);
  }

  #wait(event: UsageEvent, open: readonly OpenPart[], origin: LineOrigin | null, now: number): void {
    const key = keyOf(event);
    const same = this.#open.get(key);
    if (same === undefined) {
      const waiting: OpenEvent = { event, open, origin, since: now, holders: [] };
      this.#open.set(key, waiting);
      hold(waiting, origin);
    } else if (JSON.stringify(same.event) === JSON.stringify(event)) {
      // A copy of the line, made when a segment was moved: it stays until the event is given out, too.
      hold(same, origin);
    } else {
      this.#handout.give(withoutAnswer(event, open));
    }
  }

  #amend(amendment: Amendment, origin: LineOrigin | null): void {
    const key = this.#open.size === 0 ? "" : keyOf(amendment);
    const waiting = this.#open.get(key);
    if (waiting === undefined) {
      this.#handout.giveAmendment(amendment);
      return;
    }
    waiting.event = completeEvent(waiting.event, amendment);
    waiting.open = waiting.open.filter((part) => part !== amendment.closes);
    if (waiting.open.length === 0) this.#finish(key, waiting);
    else hold(waiting, origin);
  }

  #finish(key: string, waiting: OpenEvent): void {
    this.#release(key, waiting);
    this.#handout.give(waiting.event);
  }

  #release(key: string, waiting: OpenEvent): void {
    this.#open.delete(key);
    for (const holder of waiting.holders) holder.openEvents--;
  }
}

function keyOf(fact: { readonly source: string; readonly id: string }): string {
  return `${fact.source}\n${fact.id}`;
}

function hold(waiting: OpenEvent, origin: LineOrigin | null): void {
  if (origin === null) return;
  origin.segment.openEvents++;
  waiting.holders.push(origin.segment);
}

/** The event as it is known when its open parts never came. */
function withoutAnswer(event: UsageEvent, open: readonly OpenPart[]): UsageEvent {
  if (event.company !== null || !open.includes("identity") || event.faults?.["company"] !== undefined) return event;
  return { ...event, faults: { ...event.faults, company: "identify_timeout" } };
}
