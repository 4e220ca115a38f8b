import type { IncomingMessage } from "node:http";

import type { EventResult, IngestCall, IngestReply } from "../../engine/intake/accepted.ts";
import { invalidParameter } from "../problem.ts";
import type { Reply } from "../route.ts";
import { problemReply } from "./reply.ts";

/** What a caller wants to be told of each event: RFC 7240's `Prefer: return=…`; null where it says nothing. */
export type Preference = "representation" | "minimal" | null;

type Results = Extract<IngestReply, { kind: "results" }>;
type Refusal = Extract<IngestReply, { kind: "refused" }>;

/** The call that a request makes. */
export function ingestCall(request: IncomingMessage, body: Uint8Array, atomic: boolean): IngestCall {
  const headers = Object.entries(request.headers).flatMap(([name, value]) =>
    name.startsWith("ce-") && typeof value === "string" ? [[name, value] as const] : [],
  );
  const contentType = request.headers["content-type"] ?? null;
  const brief = preferenceOf(request) !== "representation";
  return { body, contentType, headers: Object.fromEntries(headers), atomic, brief };
}

/** The preference of a request; other preferences are for others. */
export function preferenceOf(request: IncomingMessage): Preference {
  const sent = request.headers["prefer"];
  const asked = (Array.isArray(sent) ? sent.join(",") : (sent ?? ""))
    .split(/[,;]/)
    .map((part) => part.trim().toLowerCase());
  if (asked.includes("return=representation")) return "representation";
  return asked.includes("return=minimal") ? "minimal" : null;
}

/**
 * The answer to a call that was read: `accepted` (204 or 202) without a body when none was rejected. One that was makes
 * it a problem that says of each event what became of it, so that nothing is half done in silence.
 */
export function ingestReply(reply: IngestReply, accepted: 204 | 202, preference: Preference): Reply {
  const answer = answerTo(reply, accepted, preference);
  if (preference === null) return answer;
  return { ...answer, headers: { ...answer.headers, "Preference-Applied": `return=${preference}` } };
}

function answerTo(reply: IngestReply, accepted: 204 | 202, preference: Preference): Reply {
  if (reply.kind === "refused") return refused(reply);
  return reply.kind === "whole" ? { status: accepted } : judged(reply, accepted, preference);
}

const REFUSALS: Readonly<Record<Refusal["why"], number>> = {
  // OpenMeter's own answer to a media type that it does not know.
  content_type: 400,
  not_json: 400,
  empty: 400,
  too_deep: 400,
  too_many: 413,
  too_large: 413,
  busy: 503,
};

function refused({ why, message }: Refusal): Reply {
  return problemReply({
    status: REFUSALS[why],
    detail: message,
    code: why === "busy" ? "METER_SERVER_BUSY" : "METER_REQUEST_INVALID",
    extensions: { validationErrors: [{ code: why, message }], stored: 0 },
    ...(why === "busy" ? { headers: { "Retry-After": "1" } } : {}),
  });
}

function judged({ results, kept }: Results, accepted: 204 | 202, preference: Preference): Reply {
  const counts = countsOf(results, kept);
  if (counts.rejected === 0 && kept) {
    // A caller's retry often states another time. OpenMeter takes it for the same event, so a caller of its wire must not
    // fail; what was not kept is told beside, and stands in the status.
    const told = counts.conflicts === 0 ? {} : { headers: { "Meterbook-Conflicts": String(counts.conflicts) } };
    return preference === "representation"
      ? { status: 200, body: { ...counts, results }, ...told }
      : { status: accepted, ...told };
  }
  const isConflict = counts.rejected === 0;
  const faults = results.flatMap(faultsOf);
  // 202 is v3's answer, whose clients read mistakes by this name.
  const parameters = accepted === 202 ? { members: { invalid_parameters: faults.map(invalidParameter) } } : {};
  return problemReply({
    status: isConflict ? 409 : 400,
    detail: sentence(counts, kept),
    code: isConflict ? "METER_CONFLICT" : "METER_REQUEST_INVALID",
    extensions: { validationErrors: faults, ...counts, results },
    ...parameters,
  });
}

interface Counts {
  readonly stored: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly rejected: number;
}

function countsOf(results: readonly EventResult[], kept: boolean): Counts {
  const number = (status: EventResult["status"]): number => results.filter((result) => result.status === status).length;
  return {
    stored: kept ? number("stored") : 0,
    duplicates: number("duplicate"),
    conflicts: number("conflict"),
    rejected: number("rejected"),
  };
}

function sentence({ stored, duplicates, conflicts, rejected }: Counts, kept: boolean): string {
  const total = stored + duplicates + conflicts + rejected;
  const refusedOnes = [
    ...(rejected === 0 ? [] : [`${rejected} rejected`]),
    ...(conflicts === 0 ? [] : [`${conflicts} with the source and id of another event`]),
  ].join(", ");
  if (!kept) return `Nothing was stored, since all events of this call were to be kept or none: ${refusedOnes}.`;
  return `Of ${total} events ${stored} were stored and ${duplicates} were there already; ${refusedOnes}. Each is listed in extensions.results.`;
}

interface Fault {
  readonly code: string;
  readonly index: number;
  readonly pointer: string;
  readonly message: string;
}

/** What is wrong with one event, by its place in the body: an event that was sent alone stands at 0. */
function faultsOf(result: EventResult): readonly Fault[] {
  const { index } = result;
  if (result.status === "conflict") {
    const name = `source ${JSON.stringify(result.source)} and id ${JSON.stringify(result.id)}`;
    const message = `${name} belong to an event with other content`;
    return [{ code: "conflict", index, pointer: `/${index}`, message }];
  }
  if (result.status !== "rejected") return [];
  return result.problems.map((problem) => ({
    code: "rejected",
    index,
    pointer: `/${index}${problem.pointer}`,
    message: problem.message,
  }));
}
