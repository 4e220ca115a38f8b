export {
  ClosedError,
  ConflictError,
  ForbiddenError,
  InvalidEventError,
  InvalidOptionError,
  MeterbookClientError,
  NotFoundError,
  QueueFullError,
  RateLimitedError,
  RejectedError,
  TimeoutError,
  UnauthorizedError,
  UnavailableError,
} from "./client-error.ts";
export { Meterbook } from "./meterbook.ts";
export type { ClientClock, RandomBytes } from "./client-clock.ts";
export type { ClientErrorCode, SentProblem } from "./client-error.ts";
export type { MeterbookOptions } from "./client-options.ts";
export type { HeldShare, SessionOutcome, SessionSnapshot, TrackResult } from "./delivery.ts";
export type { EventJournal } from "./event-journal.ts";
export type { Figure, Payload, PlainJson } from "./exact-json.ts";
export type { ErrorListener } from "./journal-sender.ts";
export type { AiMeterUsage, SendingTime } from "./meterbook.ts";
export type { Instant, SentEvent, TrackedUsage } from "./sent-event.ts";
export type { SendingStats } from "./sender.ts";
export type { Fetch } from "./service-call.ts";
export type { MeterPlace, MeterUsage, SessionMoment } from "./session-boundary.ts";
export type { TenantCustomer } from "./tenant-customer.ts";
