import { bounds } from "./bounds.ts";
import { randomFraction, type RandomBytes } from "./client-clock.ts";
import {
  ClosedError,
  ConflictError,
  ForbiddenError,
  NotFoundError,
  RateLimitedError,
  RejectedError,
  TimeoutError,
  UnauthorizedError,
  UnavailableError,
  type MeterbookClientError,
  type SentProblem,
} from "./client-error.ts";
import { callService, type Answer, type ServiceCall, type ServiceOptions } from "./service-call.ts";

/** How often and how patiently calls are made. */
export interface AttemptOptions extends ServiceOptions {
  /** Tries after the first one. */
  readonly retries: number;
  /** Longest wait that the service may ask for. */
  readonly retryAfterMaxMs: number;
  readonly random: RandomBytes;
}

/** An answer that is worth reading. */
export type Answered = Extract<Answer, { kind: "answered" }>;

/** A call that was given up: the last answer, after so many tries; no answer when the client was closed meanwhile. */
export interface GivenUp {
  readonly kind: "given_up";
  readonly last: Answer | null;
  readonly tries: number;
}

/**
 * Makes a call until it is answered with something else than 429 or 5xx, or the tries are used up. Each try sends the
 * same text, so the same ids.
 */
export async function callPatiently(
  options: AttemptOptions,
  call: ServiceCall,
  stop: AbortSignal,
): Promise<Answered | GivenUp> {
  for (let tries = 0; ; tries++) {
    const answer = await callService(options, call, stop);
    if (stop.aborted && answer.kind === "unanswered") return { kind: "given_up", last: null, tries };
    if (answer.kind === "answered" && !isWorthAnotherTry(answer.status)) return answer;
    const wait = waitMs(answer, tries, options);
    if (tries >= options.retries || wait > options.retryAfterMaxMs) {
      return { kind: "given_up", last: answer, tries: tries + 1 };
    }
    await stoppable(options, wait, stop);
    if (stop.aborted) return { kind: "given_up", last: null, tries };
  }
}

function isWorthAnotherTry(status: number): boolean {
  return status === 429 || status >= 500;
}

/** Full jitter; never sooner than the service asks for. */
function waitMs(answer: Answer, tries: number, { random }: AttemptOptions): number {
  const jitter = randomFraction(random) * Math.min(bounds.retryMaxMs, bounds.retryMinMs * 2 ** Math.min(tries, 16));
  return Math.max(jitter, answer.kind === "answered" ? (answer.retryAfterMs ?? 0) : 0);
}

/** What an answer that grants nothing, or none at all, means for an event. */
export function failureOf(answer: Answered | GivenUp, eventId?: string): MeterbookClientError {
  return answer.kind === "answered" ? refusalOf(answer, eventId) : lossOf(answer, eventId);
}

function lossOf({ last, tries }: GivenUp, eventId: string | undefined): MeterbookClientError {
  if (last === null) return new ClosedError({ eventId });
  const often = tries === 1 ? "once" : `${tries} times`;
  if (last.kind === "unanswered") {
    const { isTimeout, cause } = last;
    if (isTimeout) return new TimeoutError(`tried ${often} without an answer in time`, { eventId, cause });
    return new UnavailableError(`tried ${often}, and the service cannot be reached`, null, { eventId, cause });
  }
  const { status, retryAfterMs } = last;
  const message = `tried ${often}, and the service answered ${status}${detailOf(last.body)}`;
  if (status === 429) return new RateLimitedError(message, retryAfterMs, { eventId, status });
  return new UnavailableError(message, retryAfterMs, { eventId, status });
}

function refusalOf({ status, body, retryAfterMs }: Answered, eventId: string | undefined): MeterbookClientError {
  const facts = { status, eventId };
  const message = `the service answered ${status}${detailOf(body)}`;
  switch (status) {
    case 401:
      return new UnauthorizedError(message, facts);
    case 403:
      return new ForbiddenError(message, facts);
    case 404:
    case 405:
      return new NotFoundError(message, facts);
    case 409:
      return new ConflictError(message, facts);
    default:
      return status >= 400 && status < 500
        ? new RejectedError(message, problemsOf(body), facts)
        : new UnavailableError(`${message}, which is not meterbook's way`, retryAfterMs, facts);
  }
}

/** A member of an object's own; undefined of anything else. */
export function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name);
}

/** The mistakes that an answer lists. */
export function problemsOf(body: unknown): readonly SentProblem[] {
  const listed = memberOf(body, "errors") ?? memberOf(body, "problems");
  if (!Array.isArray(listed)) return [];
  return listed.map((each: unknown) => {
    return { pointer: textOf(memberOf(each, "pointer")), message: textOf(memberOf(each, "message")) };
  });
}

function detailOf(body: unknown): string {
  const detail = textOf(memberOf(body, "detail")) || textOf(memberOf(body, "title"));
  return detail === "" ? "" : `: ${detail}`;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function stoppable({ clock }: AttemptOptions, waitingMs: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.schedule(waitingMs, over);
    function over(): void {
      cancel();
      stop.removeEventListener("abort", over);
      resolve();
    }
    stop.addEventListener("abort", over);
    if (stop.aborted) over();
  });
}
