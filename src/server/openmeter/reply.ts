import { STATUS_CODES } from "node:http";

import type { ErrorCode } from "../../core/errors.ts";
import { PROBLEM_TYPE } from "../problem.ts";
import type { Reply } from "../route.ts";

/** A body that is written as JSON. */
export function jsonReply(status: number, body: unknown): Reply {
  return { status, body };
}

/** JSON that was written here already, number literals and all. */
export function jsonText(text: string): Reply {
  return { status: 200, body: text, contentType: "application/json" };
}

export const NO_CONTENT: Reply = { status: 204 };

/** A problem of RFC 9457 that says more than a failure's code can. */
export interface ProblemAnswer {
  readonly status: number;
  readonly detail: string;
  /** Where it is the failure of one of meterbook's codes. */
  readonly code?: ErrorCode;
  readonly extensions: Readonly<Record<string, unknown>>;
  /** Further members beside these. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The answer of a problem. */
export function problemReply({ status, detail, code, extensions, members, headers }: ProblemAnswer): Reply {
  const known = code === undefined ? {} : { code };
  const problem = {
    type: "about:blank",
    title: STATUS_CODES[status],
    status,
    detail,
    ...known,
    extensions,
    ...members,
  };
  return {
    status,
    body: JSON.stringify(problem),
    contentType: PROBLEM_TYPE,
    ...(headers === undefined ? {} : { headers }),
  };
}

/** Whether a caller prefers this media type over JSON: it stands in Accept and JSON does not stand before it. */
export function prefers(accept: string | undefined, mediaType: string): boolean {
  const asked = (accept ?? "").split(",").map((part) => part.split(";")[0]?.trim().toLowerCase());
  const at = asked.indexOf(mediaType);
  const json = asked.indexOf("application/json");
  return at !== -1 && (json === -1 || at < json);
}
