/** Every bound of the client, by name. What happens at the bound stands beside it. */
export const bounds = {
  /** Events of one call, its bytes, and how long an event of trackSoon() waits for company. */
  batchEvents: 100,
  batchBytes: 512 * 1024,
  batchWaitMs: 1_000,
  /** What waits in memory; beyond it track() rejects with a QueueFullError. */
  queueEvents: 10_000,
  queueBytes: 64 * 1024 * 1024,
  /** One event; a larger one is an InvalidEventError. */
  eventBytes: 256 * 1024,
  /** Lists and objects within one another; deeper ones are an InvalidEventError. */
  depth: 64,
  /** Time for one call, its answer included. */
  timeoutMs: 10_000,
  /** Tries after the first one. */
  retries: 8,
  /** Full jitter up to these: the first pause, doubled each time, up to the greatest. */
  retryMinMs: 250,
  retryMaxMs: 10_000,
  /** A longer Retry-After ends the tries, unless a journal keeps the event. */
  retryAfterMaxMs: 60_000,
  /** With a journal, which has time: a longer one is cut to this by its own pause. */
  keptRetryAfterMaxMs: 3_600_000,
  /** Events that a journal gives out at once. */
  journalReadEvents: 500,
  /** With a journal: pause after a delivery that failed in all its tries. */
  journalPauseMs: 30_000,
  /** Text of an answer that is looked at; the rest of a longer one is not read as JSON. */
  answerLength: 4 * 1024 * 1024,
} as const;
