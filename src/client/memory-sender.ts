import type { AttemptOptions } from "./attempts.ts";
import { ClosedError, QueueFullError } from "./client-error.ts";
import type { Outcome, Parcel } from "./delivery.ts";
import { callLength, deliver, type BatchBounds } from "./outgoing.ts";
import type { Sender, SendingStats } from "./sender.ts";

/** Bounds of a queue in memory. */
export interface QueueBounds {
  readonly batch: BatchBounds & { readonly waitMs: number };
  readonly queue: BatchBounds;
}

interface Waiting {
  readonly parcel: Parcel;
  readonly done: (outcome: Outcome) => void;
}

/**
 * Sends from memory, one call at a time, in order: what comes while a call is under way goes into the next one. A parcel
 * that somebody awaits goes at once; others wait for company.
 */
export class MemorySender implements Sender {
  readonly #options: AttemptOptions;
  readonly #bounds: QueueBounds;
  readonly #stop = new AbortController();
  readonly #waiting: Waiting[] = [];
  #bytes = 0;
  #underWay = 0;
  #delivered = 0;
  #failed = 0;
  /** Parcels taken so far, those that are over, and up to which one they go at once. */
  #taken = 0;
  #over = 0;
  #due = 0;
  #isRunning = false;
  #isClosed = false;
  #cancelTimer: (() => void) | null = null;
  readonly #watchers = new Set<() => void>();

  constructor(options: AttemptOptions, bounds: QueueBounds) {
    this.#options = options;
    this.#bounds = bounds;
  }

  send(parcel: Parcel, isAwaited: boolean): Promise<Outcome> {
    const eventId = parcel.event.id;
    if (this.#isClosed) return Promise.reject(new ClosedError({ eventId }));
    const { queue } = this.#bounds;
    if (this.#waiting.length >= queue.events || this.#bytes + parcel.text.length > queue.bytes) {
      const message = `${this.#waiting.length} events of ${this.#bytes} bytes wait to be sent already`;
      return Promise.reject(new QueueFullError(message, { eventId }));
    }
    return new Promise((done) => {
      this.#waiting.push({ parcel, done });
      this.#bytes += parcel.text.length;
      this.#taken += 1;
      this.#wake(isAwaited);
    });
  }

  flush(timeoutMs: number): Promise<boolean> {
    const target = this.#taken;
    this.#due = target;
    this.#begin();
    if (this.#over >= target) return Promise.resolve(true);
    return new Promise((resolve) => {
      const cancel = this.#options.clock.schedule(timeoutMs, () => end(false));
      const look = (): void => {
        if (this.#over >= target) end(true);
      };
      const end = (isSent: boolean): void => {
        cancel();
        this.#watchers.delete(look);
        resolve(isSent);
      };
      this.#watchers.add(look);
    });
  }

  async close(timeoutMs: number): Promise<boolean> {
    this.#isClosed = true;
    const isSent = await this.flush(timeoutMs);
    this.#stop.abort();
    for (const { parcel, done } of this.#waiting.splice(0)) {
      this.#failed += 1;
      done({ kind: "failed", error: new ClosedError({ eventId: parcel.event.id }) });
    }
    this.#cancelTimer?.();
    return isSent;
  }

  stats(): SendingStats {
    return { delivered: this.#delivered, failed: this.#failed, waiting: this.#waiting.length + this.#underWay };
  }

  #wake(isAwaited: boolean): void {
    const { batch } = this.#bounds;
    if (isAwaited || this.#waiting.length >= batch.events || this.#bytes >= batch.bytes) {
      this.#due = this.#taken;
      // What the same turn of the program tracks goes into the same call.
      queueMicrotask(() => this.#begin());
    } else if (!this.#isRunning) this.#wait();
  }

  #wait(): void {
    this.#cancelTimer ??= this.#options.clock.schedule(this.#bounds.batch.waitMs, () => {
      this.#due = this.#taken;
      this.#begin();
    });
  }

  #begin(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0 && this.#over < this.#due) await this.#sendNext();
    this.#isRunning = false;
    if (this.#waiting.length > 0) this.#wait();
  }

  async #sendNext(): Promise<void> {
    const { batch } = this.#bounds;
    const ahead = this.#waiting.slice(0, batch.events).map(({ parcel }) => parcel);
    const going = this.#waiting.splice(0, callLength(ahead, batch));
    const parcels = going.map(({ parcel }) => parcel);
    this.#underWay = going.length;
    this.#bytes -= parcels.reduce((sum, { text }) => sum + text.length, 0);
    const outcomes = await deliver(this.#options, parcels, this.#stop.signal);
    this.#underWay = 0;
    this.#over += going.length;
    for (const [at, { done }] of going.entries()) {
      const outcome = outcomes[at] ?? { kind: "failed", error: new ClosedError() };
      if (outcome.kind === "failed") this.#failed += 1;
      else this.#delivered += 1;
      done(outcome);
    }
    for (const look of this.#watchers) look();
  }
}
