import type { UsageEvent } from "./event.ts";

/**
 * The names that an expression may start from. Each is always there: null or empty where the event has nothing. The
 * event's type is not among them, since `type` is a function of CEL: a meter states it as its event type.
 */
export const EXPRESSION_ROOTS = [
  "source",
  "id",
  "time",
  "recordedAt",
  "company",
  "user",
  "request",
  "response",
  "metadata",
  "subject",
  "data",
  "attributes",
  "values",
  "durationMs",
  "aborted",
  "sessionToken",
  "apiVersion",
] as const;

/** What an expression sees of an event: every root present, so that `has(request.headers["x"])` works without a body. */
export function expressionView(event: object, fields: Readonly<Record<string, unknown>>): object {
  const given = event as Partial<UsageEvent>;
  return {
    source: given.source ?? null,
    id: given.id ?? null,
    time: given.time ?? null,
    recordedAt: given.recordedAt ?? null,
    company: given.company ?? null,
    user: given.user ?? null,
    request: { headers: {}, query: {}, params: {}, body: null, ...given.request },
    response: { headers: {}, body: null, ...given.response },
    metadata: given.metadata ?? {},
    subject: given.subject ?? null,
    data: given.data ?? {},
    attributes: given.attributes ?? {},
    values: given.values ?? {},
    durationMs: given.durationMs ?? null,
    aborted: given.aborted ?? false,
    sessionToken: given.sessionToken ?? null,
    apiVersion: given.apiVersion ?? null,
    fields,
  };
}
