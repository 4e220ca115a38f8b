import type { Outcome, Parcel } from "./delivery.ts";

/** What has become of everything so far. */
export interface SendingStats {
  /** The service has them. */
  readonly delivered: number;
  /** They failed for good; each was told. */
  readonly failed: number;
  /** They wait in memory or in the journal, as far as it was read. */
  readonly waiting: number;
}

/** Brings parcels to the service. */
export interface Sender {
  /** Resolves when it is known what became of it. Rejects with QueueFullError or ClosedError when it is not taken. */
  send(parcel: Parcel, isAwaited: boolean): Promise<Outcome>;
  /** Sends at once what waits; true when nothing of it is left, false when the time was over first. */
  flush(timeoutMs: number): Promise<boolean>;
  /** Takes no more, then as `flush`. What is left in memory is told with a ClosedError; a journal keeps it. */
  close(timeoutMs: number): Promise<boolean>;
  stats(): SendingStats;
}
