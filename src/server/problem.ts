import { STATUS_CODES } from "node:http";

import { isMeterbookError, type ErrorCode, type MeterbookError } from "../core/errors.ts";
import { limits } from "../engine/limits.ts";
import type { Reply } from "./route.ts";

/** A mistake in what was sent. */
export interface Mistake {
  /** Where it stands; absent = in the body. */
  readonly in?: "path" | "query" | "header";
  /** JSON pointer (RFC 6901) into the body, or `/<name>` of a parameter. */
  readonly pointer: string;
  readonly message: string;
}

/** Why a call was not done, for its caller (RFC 9457). */
export interface Problem {
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly mistakes?: readonly Mistake[];
  /** Names this occurrence, where it was logged. */
  readonly instance?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members, such as what became of each event of a batch. */
  readonly members?: Readonly<Record<string, unknown>>;
}

/** The media type of a problem. Clients compare it letter by letter, so it has no charset. */
export const PROBLEM_TYPE = "application/problem+json";

/** Failures that are the caller's to know, by their HTTP status. The others are faults of ours. */
const STATUS_BY_CODE: Partial<Readonly<Record<ErrorCode, number>>> = {
  METER_REQUEST_INVALID: 400,
  METER_COMMAND_INVALID: 400,
  METER_UNAUTHORIZED: 401,
  METER_FORBIDDEN: 403,
  METER_NOT_FOUND: 404,
  METER_EVENT_NOT_FOUND: 404,
  METER_UNKNOWN_METER: 404,
  METER_UNKNOWN_REPORT: 404,
  METER_CONFLICT: 409,
  METER_CORRECTION_REFUSED: 409,
  METER_AGGREGATE_CHANGED: 409,
  METER_RATE_LIMITED: 429,
  METER_SERVER_BUSY: 503,
  METER_STORE_BUSY: 503,
  METER_METERS_CHANGED: 503,
  METER_CLOSED: 503,
};

/** The problem that a failure is for the caller; null when it is a fault of ours, which is logged and not told. */
export function problemOf(failure: unknown): Problem | null {
  if (!isMeterbookError(failure)) return null;
  const status = Object.hasOwn(STATUS_BY_CODE, failure.code) ? STATUS_BY_CODE[failure.code] : undefined;
  if (status === undefined) return null;
  const mistakes = failure.mistakes.length === 0 ? {} : { mistakes: failure.mistakes };
  return { status, code: failure.code, detail: sentencesOf(failure), ...mistakes, ...waitOf(status) };
}

/** What is true of a call that could not be taken now. */
export function busyProblem(detail: string): Problem {
  return { status: 503, code: "METER_SERVER_BUSY", detail, ...waitOf(503) };
}

/** A call with mistakes in it. */
export function invalidProblem(detail: string, mistakes: readonly Mistake[] = [], status = 400): Problem {
  return { status, code: "METER_REQUEST_INVALID", detail, ...(mistakes.length === 0 ? {} : { mistakes }) };
}

/** What is not there, and what its caller may not see: one and the same answer. */
export const NOT_THERE: Problem = { status: 404, code: "METER_NOT_FOUND", detail: "There is nothing here." };

/** A problem that a route answers itself. */
export function problemReply(problem: Problem): Reply {
  const { status, headers = {} } = problem;
  return { status, headers, body: problemText(problem), contentType: PROBLEM_TYPE };
}

/** A problem as it is sent. */
export function problemText({ status, code, detail, mistakes = [], instance, members = {} }: Problem): string {
  const told = mistakes.slice(0, limits.mistakesMax);
  return JSON.stringify({
    type: "about:blank",
    title: STATUS_CODES[status] ?? "Problem",
    status,
    detail,
    ...(instance === undefined ? {} : { instance }),
    code,
    ...(told.length === 0
      ? {}
      : {
          errors: told.map(({ in: place, pointer, message }) => ({ in: place ?? "body", pointer, message })),
          extensions: {
            validationErrors: told.map(({ pointer, message }) => ({
              field: pointer,
              code: "invalid",
              message,
            })),
          },
        }),
    ...members,
  });
}

/** A problem whose mistakes say where they stand: without a body it is the path, for what is named there, or the query. */
export function inPlace(problem: Problem, bodilessNames: readonly string[] | null): Problem {
  if (bodilessNames === null || problem.mistakes === undefined) return problem;
  const placeOf = ({ in: place, pointer }: Mistake): NonNullable<Mistake["in"]> =>
    place ?? (bodilessNames.includes(pointer.split("/")[1] ?? "") ? "path" : "query");
  return { ...problem, mistakes: problem.mistakes.map((mistake) => ({ ...mistake, in: placeOf(mistake) })) };
}

/** A problem as a route's wire has it: its mistakes also as `invalid_parameters`, where that is what its clients read. */
export function inWords(problem: Problem, mistakesAs: "invalid_parameters" | undefined): Problem {
  if (mistakesAs === undefined || problem.mistakes === undefined || problem.mistakes.length === 0) return problem;
  const told = problem.mistakes.slice(0, limits.mistakesMax);
  return { ...problem, members: { ...problem.members, invalid_parameters: told.map(invalidParameter) } };
}

/** One mistake as OpenMeter's v3 tells it: a path with points, and where it stands. */
export function invalidParameter({ in: place, pointer, message }: Mistake): object {
  const steps = pointer.split("/").slice(1);
  const field = steps.map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~")).join(".");
  return { field, rule: "invalid", reason: message, source: place ?? "body" };
}

function sentencesOf({ message, remedy }: MeterbookError): string {
  return remedy === null ? message : `${message} ${remedy}`;
}

function waitOf(status: number): { readonly headers?: Readonly<Record<string, string>> } {
  return status === 503 ? { headers: { "retry-after": "1" } } : {};
}
