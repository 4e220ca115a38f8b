/** What one capture did so far. Every observed exchange is recorded, refused or skipped exactly once. */
export interface CaptureStats {
  /** Exchanges that were watched; excluded paths are not. */
  readonly observed: number;
  /** Event lines that the recorder took, tracked work included. */
  readonly recorded: number;
  /** Event lines that the recorder refused: usage that is lost, and alarmed by the journal. */
  readonly refused: number;
  /** Exchanges left out by skip(), req.meter.skip(). */
  readonly skipped: number;
  /** Requests left out by include/exclude. */
  readonly excluded: number;
  /** Exchanges whose client left before the last byte. */
  readonly aborted: number;
  readonly amendments: number;
  /** Events of track(). */
  readonly tracked: number;
  /** Failures inside metering or its hooks; none of them reached a request. */
  readonly errors: number;
  /** Async hooks that have not settled yet. */
  readonly pendingHooks: number;
}

/** The counters behind CaptureStats. */
export type CaptureCounters = { -readonly [name in keyof CaptureStats]: CaptureStats[name] };

export function newCounters(): CaptureCounters {
  return {
    observed: 0,
    recorded: 0,
    refused: 0,
    skipped: 0,
    excluded: 0,
    aborted: 0,
    amendments: 0,
    tracked: 0,
    errors: 0,
    pendingHooks: 0,
  };
}
