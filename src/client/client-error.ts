/** A mistake in what was sent, by JSON pointer. */
export interface SentProblem {
  readonly pointer: string;
  readonly message: string;
}

/** Which failure it was; each has a class of its own. */
export type ClientErrorCode =
  | "invalid_option"
  | "invalid_event"
  | "queue_full"
  | "closed"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "rejected"
  | "conflict"
  | "rate_limited"
  | "timeout"
  | "unavailable";

/** What a failure concerned. */
export interface ErrorFacts {
  /** Of the event that failed: send it again with the same one. */
  readonly eventId?: string | undefined;
  /** HTTP status of the answer, where there was one. */
  readonly status?: number | undefined;
  readonly cause?: unknown;
}

/** Every failure of the client. Nothing is lost without one. */
export class MeterbookClientError extends Error {
  readonly code: ClientErrorCode;
  readonly eventId: string | null;
  readonly status: number | null;

  constructor(code: ClientErrorCode, message: string, { eventId, status, cause }: ErrorFacts = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.eventId = eventId ?? null;
    this.status = status ?? null;
  }
}

/** An option of `new Meterbook()` is wrong. */
export class InvalidOptionError extends MeterbookClientError {
  constructor(option: string, message: string) {
    super("invalid_option", `${option} ${message}`);
  }
}

/** The event cannot be sent: nothing went out. `pointer` names the wrong value. */
export class InvalidEventError extends MeterbookClientError {
  readonly pointer: string;

  constructor(pointer: string, message: string) {
    super("invalid_event", `${pointer === "" ? "the event" : pointer} ${message}`);
    this.pointer = pointer;
  }
}

/** Too much waits to be sent, or the journal takes no more: this event was not taken. */
export class QueueFullError extends MeterbookClientError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super("queue_full", message, facts);
  }
}

/** The client was closed before this was sent. */
export class ClosedError extends MeterbookClientError {
  constructor(facts: ErrorFacts = {}) {
    super("closed", "the client is closed", facts);
  }
}

/** 401: no key, or one that is unknown, revoked or expired. */
export class UnauthorizedError extends MeterbookClientError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super("unauthorized", message, facts);
  }
}

/** 403: the key may not do this. */
export class ForbiddenError extends MeterbookClientError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super("forbidden", message, facts);
  }
}

/** 404: what was asked for is not there, or the url is not meterbook's. */
export class NotFoundError extends MeterbookClientError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super("not_found", message, facts);
  }
}

/** The service refused it for good; `problems` says where and why. */
export class RejectedError extends MeterbookClientError {
  readonly problems: readonly SentProblem[];

  constructor(message: string, problems: readonly SentProblem[], facts: ErrorFacts = {}) {
    super("rejected", message, facts);
    this.problems = problems;
  }
}

/** The identity is taken by something with another content; the first one stays. */
export class ConflictError extends MeterbookClientError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super("conflict", message, facts);
  }
}

/** 429, and the retries are used up or the wait is too long. */
export class RateLimitedError extends MeterbookClientError {
  readonly retryAfterMs: number | null;

  constructor(message: string, retryAfterMs: number | null, facts: ErrorFacts = {}) {
    super("rate_limited", message, facts);
    this.retryAfterMs = retryAfterMs;
  }
}

/** No answer in time, in no try. Whether the service took it is not known: send it again with the same id. */
export class TimeoutError extends MeterbookClientError {
  constructor(message: string, facts: ErrorFacts = {}) {
    super("timeout", message, facts);
  }
}

/** No usable answer in any try. Whether the service took it is not known: send it again with the same id. */
export class UnavailableError extends MeterbookClientError {
  readonly retryAfterMs: number | null;

  constructor(message: string, retryAfterMs: number | null = null, facts: ErrorFacts = {}) {
    super("unavailable", message, facts);
    this.retryAfterMs = retryAfterMs;
  }
}
