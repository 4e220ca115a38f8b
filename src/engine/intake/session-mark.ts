import { createHash } from "node:crypto";

import type { Json, UsageEvent } from "../../core/event.ts";
import { MeterbookError } from "../../core/errors.ts";
import { ownMember, owns } from "../../core/own-member.ts";
import type { RegisterEntry } from "../ports.ts";
import type { SessionBoundary, SessionFault, SessionView } from "./session.ts";

/** A boundary as the register keeps it: entries of kind `session`. */
export interface SessionMark {
  readonly boundary: SessionBoundary;
  /** `waiting` for its partner; `paired`: its session is over, and deleted once the event is stored. */
  readonly state: "waiting" | "paired" | "dismissed";
  /** Why it was held when it came. */
  readonly reason: SessionFault | null;
  /** Entry id of the other end. */
  readonly partner: string | null;
  /** What the session counts as, kept before it is counted: a crash between the two neither loses nor doubles. Of starts. */
  readonly event: UsageEvent | null;
}

/** The mark of a register entry. Throws when something else wrote it. */
export function markOf({ id, body }: RegisterEntry): SessionMark {
  if (!isMark(body)) throw new MeterbookError("METER_STORE_FAILED", `The session ${id} in the register is not one`);
  return body;
}

function isMark(body: unknown): body is SessionMark {
  return typeof body === "object" && body !== null && owns(body, "boundary") && owns(body, "state");
}

/** What the register stores of a mark. */
export function bodyOf(mark: SessionMark): Json {
  return JSON.parse(JSON.stringify(mark));
}

/** All boundaries that may pair: those of one named session, or all unnamed ones of a tenant, device and meter. */
export function laneOf({ tenantId, deviceId, meterId, sessionId }: SessionBoundary): string {
  return digest([tenantId, deviceId, meterId, sessionId]);
}

/** The entry id of a boundary. A named session has one start and one end; an unnamed boundary is named by its id or time. */
export function markId(boundary: SessionBoundary, dismissedBefore: number): string {
  const name = boundary.sessionId === null ? (boundary.id ?? boundary.time) : null;
  return digest([laneOf(boundary), boundary.boundary, name, dismissedBefore]);
}

/** The names by which a waiting or unfinished mark is found; a finished one needs none. */
export function namesOf(id: string, { boundary, state }: SessionMark): readonly string[] {
  if (state === "waiting") return [`${waitingPrefix(boundary.boundary, laneOf(boundary))}${id}`];
  return state === "paired" && boundary.boundary === "start" ? [`${UNFINISHED}${id}`] : [];
}

/** Begins the names of starts whose event may not be stored yet. */
export const UNFINISHED = "unfinished:";

/** Begins the names of what waits in a lane; of all lanes without one. */
export function waitingPrefix(boundary: "start" | "end", lane: string | null): string {
  return lane === null ? `${boundary}:` : `${boundary}:${lane}:`;
}

/** Whether two boundaries of one entry say the same. */
export function saysTheSame(a: SessionBoundary, b: SessionBoundary): boolean {
  return a.time === b.time && text(a.metadata) === text(b.metadata);
}

/** How a mark looks to people at an instant. */
export function viewOf(entry: RegisterEntry, now: number, openMaxMs: number): SessionView {
  const mark = markOf(entry);
  const { boundary, event } = mark;
  const { tenantId, deviceId, meterId, sessionId, metadata, time } = boundary;
  const isStart = boundary.boundary === "start";
  const endedAt = isStart ? (event?.time ?? null) : time;
  const startedAt = isStart ? time : null;
  return {
    id: entry.id,
    tenantId,
    deviceId,
    meterId,
    sessionId,
    ...standing(entry, mark, now, openMaxMs),
    startedAt,
    endedAt,
    durationMs: startedAt === null || endedAt === null ? null : endedAt - startedAt,
    metadata,
    event: event === null ? null : { source: event.source, id: event.id },
  };
}

function standing(
  { deletedAt }: RegisterEntry,
  { boundary, state, reason }: SessionMark,
  now: number,
  openMaxMs: number,
): Pick<SessionView, "state" | "reason"> {
  if (state === "dismissed") return { state, reason };
  // It is counted in the same breath, unless another event has taken its name.
  if (state === "paired" && deletedAt === null) return { state: "held", reason: "event_conflict" };
  if (state === "paired") return { state: "finished", reason: null };
  if (boundary.boundary === "end") return { state: "held", reason };
  return now - boundary.time > openMaxMs ? { state: "held", reason: "missing_end" } : { state: "open", reason: null };
}

function text(metadata: Readonly<Record<string, string>>): string {
  const names = Object.keys(metadata).toSorted();
  return JSON.stringify(names.map((name) => [name, ownMember(metadata, name)]));
}

function digest(parts: readonly (string | number | null)[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}
