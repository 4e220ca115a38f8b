import type { Amendment, UsageEvent } from "../core/event.ts";

/** What the drain hands over at once. Store the events first: an amendment may belong to one of them. */
export interface DrainBatch {
  readonly events: readonly UsageEvent[];
  readonly amendments: readonly Amendment[];
}

/** What was given out and is not committed yet, so that it can be given out again. */
export class Handout {
  #events: UsageEvent[] = [];
  #amendments: Amendment[] = [];
  #uncommitted: DrainBatch[] = [];
  #again: DrainBatch = { events: [], amendments: [] };

  /** Facts in the batch that is being filled. */
  get filled(): number {
    return this.#events.length + this.#amendments.length;
  }

  /** True while something given out is neither committed nor, after a rollback, given out again. */
  get outstanding(): boolean {
    return this.#uncommitted.length > 0 || this.waitsToRepeat;
  }

  /** True while a rollback has left something to give out again. */
  get waitsToRepeat(): boolean {
    return this.#again.events.length > 0 || this.#again.amendments.length > 0;
  }

  /** Time of the oldest event that is not committed, milliseconds since 1970 UTC; null when there is none. */
  get oldestTime(): number | null {
    const times = [...this.#uncommitted, this.#again].flatMap(({ events }) =>
      events.slice(0, 1).map(({ time }) => time),
    );
    return times.length === 0 ? null : Math.min(...times);
  }

  give(event: UsageEvent): void {
    this.#events.push(event);
  }

  giveAmendment(amendment: Amendment): void {
    this.#amendments.push(amendment);
  }

  /** Ends the batch that was filled. */
  take(): DrainBatch {
    const batch = { events: this.#events, amendments: this.#amendments };
    this.#events = [];
    this.#amendments = [];
    return this.#given(batch);
  }

  /** The next batch of what a rollback took back: all events before any amendment, as they may belong together. */
  repeat(factsMax: number): DrainBatch {
    const { events, amendments } = this.#again;
    const rest = events.slice(factsMax);
    const amendmentsMax = rest.length > 0 ? 0 : factsMax - events.length;
    this.#again = { events: rest, amendments: amendments.slice(amendmentsMax) };
    return this.#given({ events: events.slice(0, factsMax), amendments: amendments.slice(0, amendmentsMax) });
  }

  commit(): void {
    this.#uncommitted = [];
  }

  rollback(): void {
    const batches = [...this.#uncommitted, this.#again];
    this.#uncommitted = [];
    this.#again = {
      events: batches.flatMap(({ events }) => events),
      amendments: batches.flatMap(({ amendments }) => amendments),
    };
  }

  #given(batch: DrainBatch): DrainBatch {
    if (batch.events.length + batch.amendments.length > 0) this.#uncommitted.push(batch);
    return batch;
  }
}
