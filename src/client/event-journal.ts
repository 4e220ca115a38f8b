import type { MeterbookClientError } from "./client-error.ts";
import type { SentEvent } from "./sent-event.ts";

/** Where events are written down before they are sent. `meterbook/client/node` has one on disk. */
export interface EventJournal {
  /** Resolves once the event is written down; rejects with a QueueFullError when it cannot be. */
  append(event: SentEvent): Promise<void>;
  /** The next events that are not sent yet, also those that an earlier process left; empty when there are none. */
  next(limit: number): readonly SentEvent[];
  /** All that was given out is delivered, or set aside. */
  commit(): void;
  /** What was given out since the last commit will be given out again. */
  rollback(): void;
  /** Keeps what the service refuses for good, with the reason, outside of what is sent. */
  setAside(event: SentEvent, error: MeterbookClientError): void;
  close(): Promise<void>;
}
