import type { AttemptOptions } from "./attempts.ts";
import { bounds } from "./bounds.ts";
import { ClosedError, ConflictError, RejectedError, type MeterbookClientError } from "./client-error.ts";
import type { Outcome, Parcel } from "./delivery.ts";
import type { EventJournal } from "./event-journal.ts";
import { callLength, deliver, type BatchBounds } from "./outgoing.ts";
import type { Sender, SendingStats } from "./sender.ts";
import { sentText, type SentEvent } from "./sent-event.ts";

/** Who hears of failures; the event is null where a failure concerns none in particular. */
export type ErrorListener = (error: MeterbookClientError, event: SentEvent | null) => void;

/**
 * Sends from a journal: what is written down is taken. It is sent in order until the service has it, however long that
 * takes; what an earlier process left goes first. What the service refuses for good is set aside and told.
 */
export class JournalSender implements Sender {
  readonly #options: AttemptOptions;
  readonly #batch: BatchBounds & { readonly waitMs: number };
  readonly #journal: EventJournal;
  readonly #tell: ErrorListener;
  readonly #stop = new AbortController();
  #delivered = 0;
  #failed = 0;
  #waiting = 0;
  #isClosed = false;
  #isTroubled = false;
  #running: Promise<boolean> | null = null;
  #cancelTimer: (() => void) | null = null;
  /** What the journal gave out and nothing has become of yet. It goes first: what was settled before it is settled once. */
  #left: Parcel[] = [];

  constructor(
    options: AttemptOptions,
    batch: BatchBounds & { readonly waitMs: number },
    journal: EventJournal,
    tell: ErrorListener,
  ) {
    this.#options = options;
    this.#batch = batch;
    this.#journal = journal;
    this.#tell = tell;
    // What was left by an earlier process needs no new event to be sent.
    this.#wait(batch.waitMs, false);
  }

  async send({ event }: Parcel): Promise<Outcome> {
    if (this.#isClosed) throw new ClosedError({ eventId: event.id });
    await this.#journal.append(event);
    this.#waiting += 1;
    if (!this.#isTroubled) this.#wait(this.#batch.waitMs, false);
    if (event.kind !== "event") return { kind: "moment", outcome: { status: "kept", session: null } };
    const { source, id } = event;
    return { kind: "taken", result: { status: "kept", source, id, held: [], isUnmetered: false } };
  }

  async flush(timeoutMs: number): Promise<boolean> {
    const limit = new AbortController();
    const cancel = this.#options.clock.schedule(timeoutMs, () => limit.abort());
    const tooLate = new Promise<false>((resolve) => {
      limit.signal.addEventListener("abort", () => resolve(false));
    });
    const sending = async (): Promise<boolean> => {
      // A run that had begun may have read the journal before the last event stood there.
      await this.#running;
      return limit.signal.aborted ? false : this.#begin();
    };
    const isSent = await Promise.race([sending(), tooLate]);
    cancel();
    return isSent;
  }

  async close(timeoutMs: number): Promise<boolean> {
    this.#isClosed = true;
    const isSent = await this.flush(timeoutMs);
    this.#stop.abort();
    await this.#running;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    if (this.#left.length > 0) this.#journal.rollback();
    await this.#journal.close();
    return isSent;
  }

  stats(): SendingStats {
    return { delivered: this.#delivered, failed: this.#failed, waiting: Math.max(0, this.#waiting) };
  }

  #wait(delayMs: number, mayEnd: boolean): void {
    if (this.#running !== null) return;
    this.#cancelTimer ??= this.#options.clock.schedule(delayMs, () => void this.#begin(), mayEnd);
  }

  #begin(): Promise<boolean> {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#running ??= this.#run();
    return this.#running;
  }

  /** True when the journal is empty now. */
  async #run(): Promise<boolean> {
    // Whoever began it notes it first: it may be over at once.
    await Promise.resolve();
    let isEmpty = false;
    let isStuck = false;
    while (!isEmpty && !isStuck) {
      if (this.#left.length === 0) {
        const events = this.#journal.next(bounds.journalReadEvents);
        this.#left = events.map((event) => ({ event, text: sentText(event) }));
      }
      isEmpty = this.#left.length === 0;
      isStuck = !isEmpty && !(await this.#deliverLeft());
      if (!isStuck) this.#journal.commit();
    }
    this.#running = null;
    if (isStuck && !this.#stop.signal.aborted) this.#wait(bounds.journalPauseMs, true);
    return isEmpty;
  }

  /** False when it makes no sense to go on now. */
  async #deliverLeft(): Promise<boolean> {
    while (this.#left.length > 0) {
      const going = this.#left.slice(0, callLength(this.#left.slice(0, this.#batch.events), this.#batch));
      const outcomes = await deliver(this.#options, going, this.#stop.signal);
      for (const [place, outcome] of outcomes.entries()) {
        const event = going[place]?.event;
        if (event === undefined || !this.#settle(event, outcome)) return false;
        this.#left.shift();
      }
    }
    return true;
  }

  /** False when the event must be sent again later. */
  #settle(event: SentEvent, outcome: Outcome): boolean {
    if (outcome.kind === "failed") {
      const { error } = outcome;
      if (!(error instanceof RejectedError || error instanceof ConflictError)) return this.#troubled(error);
      this.#journal.setAside(event, error);
      this.#failed += 1;
      this.#tell(error, event);
    } else this.#delivered += 1;
    this.#isTroubled = false;
    this.#waiting -= 1;
    return true;
  }

  /** Told once, however long it lasts. */
  #troubled(error: MeterbookClientError): false {
    if (!this.#isTroubled && !(error instanceof ClosedError)) this.#tell(error, null);
    this.#isTroubled = true;
    return false;
  }
}
