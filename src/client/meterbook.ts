import { callPatiently, failureOf, memberOf } from "./attempts.ts";
import { ClosedError, InvalidEventError, MeterbookClientError } from "./client-error.ts";
import { clientSettings, type ClientSettings, type MeterbookOptions } from "./client-options.ts";
import type { Outcome, SessionOutcome, TrackResult } from "./delivery.ts";
import { JournalSender } from "./journal-sender.ts";
import { MemorySender } from "./memory-sender.ts";
import type { Sender, SendingStats } from "./sender.ts";
import {
  named,
  sentEvent,
  sentText,
  type EventContext,
  type Instant,
  type SentEvent,
  type TrackedUsage,
} from "./sent-event.ts";
import { boundaryEvent, usageEvent, type MeterPlace, type MeterUsage, type SessionMoment } from "./session-boundary.ts";
import { customerOf, type TenantCustomer } from "./tenant-customer.ts";

/** One end of a session in meter-lib's words: exactly one of the two times. */
export interface AiMeterUsage extends MeterPlace {
  readonly startTime?: Instant;
  readonly endTime?: Instant;
  readonly sessionId?: string;
  readonly id?: string;
}

/** How long flush() and close() may take. */
export interface SendingTime {
  readonly timeoutMs?: number;
}

const SENDING_MS = 30_000;

/**
 * Sends usage to a meterbook service. Safe to make once and to use from everywhere in a program; `close()` it before the
 * program ends. Everything that fails does so with a MeterbookClientError; nothing is retried under another id.
 */
export class Meterbook {
  readonly #settings: ClientSettings;
  readonly #context: EventContext;
  readonly #sender: Sender;
  readonly #stop = new AbortController();
  #closing: Promise<boolean> | null = null;

  constructor(options: MeterbookOptions) {
    const settings = clientSettings(options);
    const { attempts, bounds, journal, source, tell } = settings;
    this.#settings = settings;
    this.#context = { source, clock: attempts.clock, random: attempts.random, isKept: journal !== null };
    this.#sender =
      journal === null ? new MemorySender(attempts, bounds) : new JournalSender(attempts, bounds.batch, journal, tell);
  }

  /**
   * Sends one event. Resolves when the service has stored it (or had it before); with a journal, when it is written down.
   * Rejects with a MeterbookClientError. Events of the same turn, and those that come while a call is under way, share a call.
   */
  async track(usage: TrackedUsage): Promise<TrackResult> {
    return resultOf(await this.#send(sentEvent(usage, this.#context), true));
  }

  /** Sends one event some time soon, in company; whatever fails goes to `onError`. Never throws. */
  trackSoon(usage: TrackedUsage): void {
    void this.#trackQuietly(usage);
  }

  /** meter-lib's `post_meter_usage`: one figure of one meter. As track(). */
  async postMeterUsage(usage: MeterUsage): Promise<TrackResult> {
    return resultOf(await this.#send(usageEvent(usage, this.#context), true));
  }

  /** meter-lib's `post_ai_meter_usage`: a session begins at `startTime`, or ends at `endTime`. */
  async postAiMeterUsage({ startTime, endTime, ...place }: AiMeterUsage): Promise<SessionOutcome> {
    if (startTime !== undefined && endTime === undefined) return this.startSession({ ...place, time: startTime });
    if (endTime !== undefined && startTime === undefined) return this.endSession({ ...place, time: endTime });
    throw new InvalidEventError("", "needs exactly one of startTime and endTime");
  }

  /** Use of a time meter begins. */
  async startSession(moment: SessionMoment): Promise<SessionOutcome> {
    return momentOf(await this.#send(boundaryEvent("session_start", moment, this.#context), true));
  }

  /** Use of a time meter ends: with its start it becomes one event. An end without a start is held until that comes. */
  async endSession(moment: SessionMoment): Promise<SessionOutcome> {
    return momentOf(await this.#send(boundaryEvent("session_end", moment, this.#context), true));
  }

  /** Who pays for a tenant; null when nobody does. */
  async findCustomer(tenantId: string): Promise<TenantCustomer | null> {
    const path = `/v1/customers/by-tenant/${encodeURIComponent(named(tenantId, "/tenantId"))}`;
    if (this.#closing !== null) throw new ClosedError();
    const answer = await callPatiently(this.#settings.attempts, { method: "GET", path }, this.#stop.signal);
    // Any server answers 404 where it knows nothing; only meterbook says so with its code.
    if (answer.kind === "answered" && answer.status === 404 && memberOf(answer.body, "code") === "METER_NOT_FOUND")
      return null;
    const customer = answer.kind === "answered" && answer.status === 200 ? customerOf(answer.body) : null;
    if (customer === null) throw failureOf(answer);
    return customer;
  }

  /** Sends at once what waits; true when nothing of it is left, false when the time was over first. */
  flush({ timeoutMs = SENDING_MS }: SendingTime = {}): Promise<boolean> {
    return this.#sender.flush(timeoutMs);
  }

  /** Takes no more and sends what waits. What is left when the time is over fails with a ClosedError, or stays in the journal. */
  close({ timeoutMs = SENDING_MS }: SendingTime = {}): Promise<boolean> {
    this.#closing ??= this.#sender.close(timeoutMs).finally(() => this.#stop.abort());
    return this.#closing;
  }

  /** What has become of everything so far. */
  stats(): SendingStats {
    return this.#sender.stats();
  }

  async #trackQuietly(usage: TrackedUsage): Promise<void> {
    const { tell } = this.#settings;
    let event: SentEvent | null = null;
    try {
      event = sentEvent(usage, this.#context);
      const outcome = await this.#send(event, false);
      if (outcome.kind === "failed") tell(outcome.error, event);
    } catch (error) {
      tell(thrown(error), event);
    }
  }

  #send(event: SentEvent, isAwaited: boolean): Promise<Outcome> {
    return this.#sender.send({ event, text: sentText(event) }, isAwaited);
  }
}

function resultOf(outcome: Outcome): TrackResult {
  if (outcome.kind === "taken") return outcome.result;
  throw unexpected(outcome);
}

function momentOf(outcome: Outcome): SessionOutcome {
  if (outcome.kind === "moment") return outcome.outcome;
  throw unexpected(outcome);
}

function unexpected(outcome: Outcome): Error {
  return outcome.kind === "failed" ? outcome.error : new TypeError("an outcome of another kind");
}

function thrown(error: unknown): MeterbookClientError {
  return error instanceof MeterbookClientError ? error : new InvalidEventError("", String(error));
}
