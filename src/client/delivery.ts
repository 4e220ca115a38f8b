import { callPatiently, memberOf, problemsOf, failureOf, type AttemptOptions } from "./attempts.ts";
import { ConflictError, RejectedError, UnavailableError, type MeterbookClientError } from "./client-error.ts";
import type { SentEvent } from "./sent-event.ts";

/** An event with the text that is sent of it. */
export interface Parcel {
  readonly event: SentEvent;
  readonly text: string;
}

/** A meter that holds its share of an event, and why. */
export interface HeldShare {
  readonly meter: string;
  readonly reason: string;
  readonly detail: string;
}

/** A session as the service shows it. */
export interface SessionSnapshot {
  readonly id: string;
  readonly state: "open" | "held" | "finished" | "dismissed";
  readonly reason: string | null;
  readonly durationMs: number | null;
}

/** What became of an event that the service has; `kept`: it stands in the journal, and is sent from there. */
export interface TrackResult {
  readonly status: "stored" | "duplicate" | "kept";
  readonly source: string;
  readonly id: string;
  /** Empty where it counts, or concerns no meter. */
  readonly held: readonly HeldShare[];
  /** True when no meter counts or holds it: it is kept there, and a meter made later can count it. */
  readonly isUnmetered: boolean;
}

/** What became of one end of a session. */
export interface SessionOutcome {
  readonly status: "open" | "finished" | "held" | "duplicate" | "kept";
  /** Null where it is only kept so far. */
  readonly session: SessionSnapshot | null;
}

/** What became of one parcel. */
export type Outcome =
  | { readonly kind: "taken"; readonly result: TrackResult }
  | { readonly kind: "moment"; readonly outcome: SessionOutcome }
  | { readonly kind: "failed"; readonly error: MeterbookClientError };

/** Answers by which the call was refused for one of its events, or for their number. */
const WHOLE: ReadonlySet<number> = new Set([400, 413, 422]);
const BATCH = "application/cloudevents-batch+json";

/** Sends events in one call, an outcome for each. What is refused as a whole is sent again in halves, until it is known what it is. */
export async function deliverEvents(
  options: AttemptOptions,
  parcels: readonly Parcel[],
  stop: AbortSignal,
): Promise<readonly Outcome[]> {
  const body = `[${parcels.map(({ text }) => text).join(",")}]`;
  const answer = await callPatiently(options, { method: "POST", path: "/v1/events", body, contentType: BATCH }, stop);
  const results = answer.kind === "answered" ? memberOf(answer.body, "results") : null;
  if (Array.isArray(results)) return parcels.map(({ event }, at) => outcomeOf(event, resultAt(results, at)));
  if (answer.kind === "answered" && WHOLE.has(answer.status) && parcels.length > 1) {
    const half = Math.ceil(parcels.length / 2);
    return [
      ...(await deliverEvents(options, parcels.slice(0, half), stop)),
      ...(await deliverEvents(options, parcels.slice(half), stop)),
    ];
  }
  return parcels.map(({ event }) => ({ kind: "failed", error: failureOf(answer, event.id) }));
}

/** Sends one end of a session. */
export async function deliverBoundary(
  options: AttemptOptions,
  { event, text }: Parcel,
  stop: AbortSignal,
): Promise<Outcome> {
  const path = event.kind === "session_start" ? "/v1/sessions/start" : "/v1/sessions/end";
  const answer = await callPatiently(
    options,
    { method: "POST", path, body: text, contentType: "application/json" },
    stop,
  );
  const body = answer.kind === "answered" ? answer.body : null;
  const status = memberOf(body, "status");
  if (answer.kind !== "answered" || answer.status !== 200 || !isSessionStatus(status))
    return { kind: "failed", error: failureOf(answer, event.id) };
  return { kind: "moment", outcome: { status, session: sessionOf(memberOf(body, "session")) } };
}

function outcomeOf({ source, id }: SentEvent, result: unknown): Outcome {
  const status = memberOf(result, "status");
  switch (status) {
    case "stored":
    case "duplicate": {
      const held = memberOf(result, "held");
      const isUnmetered = memberOf(result, "unmetered") === true;
      return {
        kind: "taken",
        result: { status, source, id, held: Array.isArray(held) ? held.map(shareOf) : [], isUnmetered },
      };
    }
    case "conflict":
      return failed(new ConflictError(`another event has the source ${source} and the id ${id}`, { eventId: id }));
    case "rejected": {
      const problems = problemsOf(result);
      const places = problems.map(({ pointer, message }) => `${pointer} ${message}`).join("; ");
      return failed(new RejectedError(`the service rejected the event: ${places}`, problems, { eventId: id }));
    }
    default:
      return failed(new UnavailableError("the service said nothing of this event", null, { eventId: id }));
  }
}

function failed(error: MeterbookClientError): Outcome {
  return { kind: "failed", error };
}

/** Results say their place; those of an older service stand in order. */
function resultAt(results: readonly unknown[], at: number): unknown {
  const isAt = (each: unknown): boolean => memberOf(each, "index") === at;
  return isAt(results[at]) ? results[at] : (results.find(isAt) ?? results[at]);
}

function shareOf(share: unknown): HeldShare {
  const told = (name: string): string => {
    const text = memberOf(share, name);
    return typeof text === "string" ? text : "";
  };
  return { meter: told("meter"), reason: told("reason"), detail: told("detail") };
}

function isSessionStatus(status: unknown): status is SessionOutcome["status"] {
  return status === "open" || status === "finished" || status === "held" || status === "duplicate";
}

function sessionOf(session: unknown): SessionSnapshot | null {
  const id = memberOf(session, "id");
  const state = memberOf(session, "state");
  if (typeof id !== "string" || !isSessionState(state)) return null;
  const reason = memberOf(session, "reason");
  const durationMs = memberOf(session, "durationMs");
  return {
    id,
    state,
    reason: typeof reason === "string" ? reason : null,
    durationMs: typeof durationMs === "number" ? durationMs : null,
  };
}

function isSessionState(state: unknown): state is SessionSnapshot["state"] {
  return state === "open" || state === "held" || state === "finished" || state === "dismissed";
}
