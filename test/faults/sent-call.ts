import type { SeededRandom } from "./depth.ts";
import type { Attempt } from "./oracle.ts";
import { COMPANIES } from "./place.ts";

/** One call to the service, with what it must lead to. Sent again it is the same, byte for byte. */
export interface SentCall {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The events that it brings, in order; none where nothing of it may be kept. */
  readonly events: readonly Attempt[];
  /** All of them or none. */
  readonly atomic: boolean;
  /** How the answer says that they are kept: a result for each, a status alone, one result, or a finished session. */
  readonly answer: "results" | "status" | "result" | "session" | "refusal";
  /** What must be answered before it is sent: the start of a session. */
  readonly first?: SentCall;
}

/** Makes calls of every kind that brings events; each event of the whole test is another one. */
export interface CallMaker {
  next(): SentCall;
  /** A call of all or nothing that must be refused, since one of its events is. */
  spoiled(known: Attempt | null): SentCall;
}

const BATCH = { "content-type": "application/cloudevents-batch+json" };
const JSON_TYPE = { "content-type": "application/json" };

/** Events of a call whose transaction takes long enough to be struck within. */
export const MANY = 250;

/** Two senders use the same ids: an event's identity is its source and its id. */
const SOURCES = ["/left", "/right"] as const;

/** Calls whose events are named after `prefix`. */
export function callMaker(prefix: string, random: SeededRandom): CallMaker {
  let last = 0;
  const attempt = (source: string, id: string): Attempt => ({
    token: `${source}#${id}`,
    company: random.pick(COMPANIES),
    tokens: `${random.between(0, 50)}.${random.between(10, 100)}`,
  });
  const fresh = (): readonly Attempt[] => {
    const id = `${prefix}-${++last}`;
    const sources = random.next() < 0.2 ? SOURCES : [random.pick(SOURCES)];
    return sources.map((source) => attempt(source, id));
  };
  const several = (): readonly Attempt[] => Array.from({ length: random.between(2, 25) }, fresh).flat();
  const many = (): readonly Attempt[] => Array.from({ length: random.between(MANY, 3 * MANY) }, fresh).flat();
  const one = (): Attempt => attempt(random.pick(SOURCES), `${prefix}-${++last}`);
  const makers: readonly (() => SentCall)[] = [
    () => batchOf(several(), false),
    () => batchOf(random.next() < 0.7 ? several() : many(), true),
    () => structured(one()),
    () => binary(one()),
    () => ({ ...batchOf(several(), false), path: "/api/v1/events", answer: "status" }),
    () => report(attempt("usage", `${prefix}-${++last}`)),
    () => session({ ...attempt("session", `${prefix}-${++last}`), tokens: `${random.between(1, 9_000)}.25` }),
  ];
  return {
    next: () => random.pick(makers)(),
    spoiled: (known) => {
      const good = several();
      const bad = known === null ? { specversion: "1.0", id: "" } : { ...cloudEvent(known), type: "other" };
      const body = JSON.stringify([...good.map(cloudEvent), bad].toSorted(() => random.next() - 0.5));
      return { ...batchOf([], true), body, answer: "refusal" };
    },
  };
}

function cloudEvent(event: Attempt): object {
  const [source, id] = event.token.split("#");
  return { specversion: "1.0", source, id, type: "prompt", subject: event.company, data: content(event) };
}

function content({ token, tokens }: Attempt): object {
  return { token, total_usage: tokens };
}

function batchOf(events: readonly Attempt[], atomic: boolean): SentCall {
  const path = atomic ? "/v1/events?atomic=true" : "/v1/events";
  const body = JSON.stringify(events.map(cloudEvent));
  return { path, headers: BATCH, body, events, atomic, answer: "results" };
}

function structured(event: Attempt): SentCall {
  const headers = { "content-type": "application/cloudevents+json" };
  const body = JSON.stringify(cloudEvent(event));
  return { path: "/v1/events", headers, body, events: [event], atomic: false, answer: "results" };
}

/** As Kong's gateway plugin or a proxy would: attributes in the header. */
function binary(event: Attempt): SentCall {
  const [source = "", id = ""] = event.token.split("#");
  const attributes = { specversion: "1.0", source, id, type: "prompt", subject: event.company };
  const named = Object.entries(attributes).map(([name, text]) => [`ce-${name}`, text]);
  const headers = { ...JSON_TYPE, ...Object.fromEntries(named) };
  const body = JSON.stringify(content(event));
  return { path: "/api/v3/openmeter/events", headers, body, events: [event], atomic: false, answer: "status" };
}

function report(event: Attempt): SentCall {
  const { token, company, tokens } = event;
  const body = { id: token, tenantId: company, meterId: "prompt", totalUsage: tokens, metadata: { token } };
  return {
    path: "/v1/usage",
    headers: JSON_TYPE,
    body: JSON.stringify(body),
    events: [event],
    atomic: false,
    answer: "result",
  };
}

/** When all sessions began; how long they last is what they count. */
const BEGAN_MS = Date.UTC(2026, 0, 15);

function session(event: Attempt): SentCall {
  const { token, company, tokens } = event;
  const place = { tenantId: company, meterId: "call_seconds", sessionId: token, metadata: { token } };
  const boundary = (path: string, time: number): Omit<SentCall, "events" | "answer"> => ({
    path,
    headers: JSON_TYPE,
    body: JSON.stringify({ ...place, time }),
    atomic: false,
  });
  return {
    ...boundary("/v1/sessions/end", BEGAN_MS + Math.round(Number(tokens) * 1_000)),
    events: [event],
    answer: "session",
    first: { ...boundary("/v1/sessions/start", BEGAN_MS), events: [], answer: "status" },
  };
}
