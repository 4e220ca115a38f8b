import type { RejectedSample, RejectionNotice } from "../engine/ports.ts";
import { toldMembers } from "./told-members.ts";

/**
 * Reads an error report of a meter, as fetched from Stripe; null when it is none. Codes are an open list, and the request
 * of a sample is named by identifier or, in older reports, by Idempotency-Key (docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api).
 */
export function readRejection(event: unknown, meterNames: ReadonlyMap<string, string>): RejectionNotice | null {
  const report = toldMembers(event);
  const told = toldMembers(report?.["data"]);
  const reason = toldMembers(told?.["reason"]);
  const id = report?.["id"];
  const from = timeOf(told?.["validation_start"]);
  const to = timeOf(told?.["validation_end"]);
  if (reason === null || typeof id !== "string" || from === null || to === null) return null;
  const samples = listOf(reason["error_types"]).flatMap(samplesOf);
  const counted = reason["error_count"];
  const meter = toldMembers(report?.["related_object"])?.["id"];
  return {
    kind: "rejection",
    id,
    reportAs: typeof meter === "string" ? (meterNames.get(meter) ?? null) : null,
    from,
    to,
    errorCount: typeof counted === "number" ? counted : samples.length,
    samples,
  };
}

function samplesOf(errorType: unknown): RejectedSample[] {
  const type = toldMembers(errorType);
  const code = type?.["code"];
  return listOf(type?.["sample_errors"]).flatMap((sample) => {
    const error = toldMembers(sample);
    const request = toldMembers(error?.["request"]);
    const identifier = request?.["identifier"] ?? request?.["idempotency_key"];
    const message = error?.["error_message"];
    if (typeof identifier !== "string") return [];
    return [
      {
        identifier,
        code: typeof code === "string" ? code.slice(0, CODE_LENGTH_MAX) : "unknown",
        message: typeof message === "string" ? message.slice(0, MESSAGE_LENGTH_MAX) : "",
      },
    ];
  });
}

const CODE_LENGTH_MAX = 100;
const MESSAGE_LENGTH_MAX = 500;

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** RFC 3339, or seconds as v1 objects have them. */
function timeOf(value: unknown): number | null {
  const time = typeof value === "number" ? value * 1_000 : typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isFinite(time) ? time : null;
}
