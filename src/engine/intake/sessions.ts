import { MeterbookError } from "../../core/errors.ts";
import type { UsageEvent } from "../../core/event.ts";
import { limits } from "../limits.ts";
import { SESSION_FINISHER, type Register, type RegisterChange, type RegisterEntry } from "../ports.ts";
import { sessionEvent, timeUnitOf } from "./session-event.ts";
import {
  bodyOf,
  laneOf,
  markId,
  markOf,
  namesOf,
  saysTheSame,
  UNFINISHED,
  viewOf,
  waitingPrefix,
  type SessionMark,
} from "./session-mark.ts";
import type {
  SessionBoundary,
  SessionFault,
  SessionPage,
  SessionQuery,
  SessionResult,
  SessionView,
} from "./session.ts";

/** What sessions need of the engine. */
export interface SessionDesk {
  readonly register: Register;
  /** Milliseconds UTC. */
  now(): number;
  /** Who pays for a subject's usage at an instant. */
  companyOf(subject: string, time: number): string | null;
  /** The unit of the meter for an event type; null when there is none. */
  meterUnit(eventType: string): string | null;
  /** Stores and counts one event; a repeat is a duplicate. */
  accept(event: UsageEvent): Promise<"stored" | "duplicate" | "conflict">;
}

/** Sessions of time meters: pairs of boundaries become durations, each counted once. */
export interface Sessions {
  /** Answers after the commit. METER_SERVER_BUSY when other processes keep changing the same sessions. */
  record(boundary: SessionBoundary, author: string): Promise<SessionResult>;
  list(query: SessionQuery): Promise<SessionPage>;
  /** An operator says that a waiting boundary counts for nothing; it may then be sent anew. METER_NOT_FOUND. */
  dismiss(id: string, author: string): Promise<SessionView>;
  /** Counts what a crash left between a session's end and its event; answers how many. For the start of a process. */
  finishAll(): Promise<number>;
}

/** Opens the sessions of a store. One process changes them one after another, so that two ends cannot miss one another. */
export function openSessions(desk: SessionDesk): Sessions {
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <Answer>(work: () => Promise<Answer>): Promise<Answer> => {
    const done = turn.then(work);
    turn = done.catch(() => undefined);
    return done;
  };
  return {
    record: (boundary, author) => inTurn(() => record(desk, boundary, author)),
    list: (query) => listSessions(desk, query),
    dismiss: (id, author) => inTurn(() => dismiss(desk, id, author)),
    finishAll: () => inTurn(() => finishAll(desk)),
  };
}

async function record(desk: SessionDesk, boundary: SessionBoundary, author: string): Promise<SessionResult> {
  for (let tries = 0; tries < limits.sessionTriesMax; tries++) {
    const { id, known } = await place(desk, boundary);
    if (known !== null) return recorded(desk, known, boundary, author);
    const { partner, reason } = await partnerOf(desk, boundary);
    const mark: SessionMark = {
      boundary,
      state: partner === null ? "waiting" : "paired",
      reason,
      partner: partner?.id ?? null,
      event: null,
    };
    if (partner === null) await checkRoom(desk, boundary);
    const outcome = await desk.register.changeEntries(
      partner === null ? [made(id, mark, author)] : paired(desk, { id, mark, seen: null }, partner, author),
      desk.now(),
    );
    if (!outcome.done) continue;
    // Another process may have recorded the other end since it was looked for.
    const startId = await pairUp(desk, id, author);
    if (startId === null) return answer(desk, boundary.boundary === "start" ? "open" : "held", id);
    await finish(desk, startId);
    const session = await shown(desk, startId);
    return { status: session.state === "finished" ? "finished" : "conflict", session };
  }
  throw busy();
}

/** Pairs what waits with its other end, where that is there by now. The id of the session's start; null = it goes on waiting. */
async function pairUp(desk: SessionDesk, id: string, author: string): Promise<string | null> {
  for (let tries = 0; tries < limits.sessionTriesMax; tries++) {
    const entry = await desk.register.getEntry("session", id);
    if (entry === null) return null;
    const waiting = markOf(entry);
    if (waiting.state !== "waiting") return startIdOf(entry);
    const { partner } = await partnerOf(desk, waiting.boundary);
    if (partner === null) return null;
    const mark: SessionMark = { ...waiting, state: "paired", partner: partner.id, reason: null };
    const changes = paired(desk, { id, mark, seen: entry.revision }, partner, author);
    if ((await desk.register.changeEntries(changes, desk.now())).done)
      return mark.boundary.boundary === "start" ? id : partner.id;
  }
  throw busy();
}

/** The entry of its session's start; null where it has none. */
function startIdOf(entry: RegisterEntry): string | null {
  const { boundary, state, partner } = markOf(entry);
  if (state !== "paired") return null;
  return boundary.boundary === "start" ? entry.id : partner;
}

function busy(): MeterbookError {
  return new MeterbookError("METER_SERVER_BUSY", "This session kept changing while its boundary was recorded");
}

/** The entry id of a boundary, and its entry where it was sent before. A dismissed one made room for another. */
async function place(
  desk: SessionDesk,
  boundary: SessionBoundary,
): Promise<{ readonly id: string; readonly known: RegisterEntry | null }> {
  for (let dismissed = 0; ; dismissed++) {
    const id = markId(boundary, dismissed);
    const known = await desk.register.getEntry("session", id);
    if (known === null || markOf(known).state !== "dismissed") return { id, known };
  }
}

async function recorded(
  desk: SessionDesk,
  known: RegisterEntry,
  boundary: SessionBoundary,
  author: string,
): Promise<SessionResult> {
  // The first call may have died before it was paired, or before the event was stored.
  const startId = await pairUp(desk, known.id, author);
  if (startId !== null) await finish(desk, startId);
  return answer(desk, saysTheSame(markOf(known).boundary, boundary) ? "duplicate" : "conflict", startId ?? known.id);
}

/** The boundary that this one ends or begins: the earliest that waits and fits. Named sessions may last for any time. */
async function partnerOf(
  desk: SessionDesk,
  boundary: SessionBoundary,
): Promise<{ readonly partner: RegisterEntry | null; readonly reason: SessionFault | null }> {
  const isStart = boundary.boundary === "start";
  const waiting = await desk.register.listEntries({
    kind: "session",
    namePrefix: waitingPrefix(isStart ? "end" : "start", laneOf(boundary)),
    limit: limits.sessionsPerLaneMax,
  });
  const lasts = (entry: RegisterEntry): number => (markOf(entry).boundary.time - boundary.time) * (isStart ? 1 : -1);
  const longest = boundary.sessionId === null ? limits.sessionOpenMaxMs : Number.POSITIVE_INFINITY;
  const fitting = waiting.filter((entry) => lasts(entry) >= 0 && lasts(entry) <= longest);
  const [partner = null] = fitting.toSorted(
    (a, b) => markOf(a).boundary.time - markOf(b).boundary.time || (a.id < b.id ? -1 : 1),
  );
  if (isStart || partner !== null) return { partner, reason: null };
  return { partner, reason: waiting.some((entry) => lasts(entry) < 0) ? "end_before_start" : "end_without_start" };
}

async function checkRoom(desk: SessionDesk, boundary: SessionBoundary): Promise<void> {
  const namePrefix = waitingPrefix(boundary.boundary, laneOf(boundary));
  const limit = limits.sessionsPerLaneMax;
  const waiting = await desk.register.listEntries({ kind: "session", namePrefix, limit });
  if (waiting.length < limit) return;
  const message = `${limit} sessions of this tenant, device and meter wait for their other end already`;
  throw new MeterbookError("METER_CONFLICT", message, { remedy: "End or dismiss them, or name sessions: session_id." });
}

function made(id: string, mark: SessionMark, author: string, seen: number | null = null): RegisterChange {
  return { kind: "session", id, seen, names: namesOf(id, mark), body: bodyOf(mark), author };
}

/** Both ends know one another, and the start what they count as, before anything is counted. */
function paired(
  desk: SessionDesk,
  { id, mark, seen }: { readonly id: string; readonly mark: SessionMark; readonly seen: number | null },
  partner: RegisterEntry,
  author: string,
): readonly RegisterChange[] {
  const other: SessionMark = { ...markOf(partner), state: "paired", partner: id, reason: null };
  const isStart = mark.boundary.boundary === "start";
  const [start, end] = isStart ? [mark, other] : [other, mark];
  const { tenantId, meterId } = start.boundary;
  const event = sessionEvent(start.boundary, end.boundary, {
    id: isStart ? id : partner.id,
    unit: timeUnitOf(meterId, desk.meterUnit(meterId)),
    company: desk.companyOf(tenantId, end.boundary.time),
    recordedAt: desk.now(),
  });
  const mine = isStart ? { ...mark, event } : mark;
  const its = isStart ? other : { ...other, event };
  return [made(id, mine, author, seen), made(partner.id, its, author, partner.revision)];
}

/** Stores the event of a paired session, then ends its entries. Doing it again changes nothing. */
async function finish(desk: SessionDesk, startId: string): Promise<void> {
  const entry = await desk.register.getEntry("session", startId);
  if (entry === null || entry.deletedAt !== null) return;
  const { event, partner } = markOf(entry);
  if (event === null || (await desk.accept(event)) === "conflict") return;
  const end = partner === null ? null : await desk.register.getEntry("session", partner);
  await desk.register.changeEntries(
    [entry, end].flatMap((each) =>
      each === null || each.deletedAt !== null
        ? []
        : [{ kind: "session", id: each.id, seen: each.revision, names: [], body: null, author: SESSION_FINISHER }],
    ),
    desk.now(),
  );
}

async function finishAll(desk: SessionDesk): Promise<number> {
  let finished = 0;
  let after = "";
  for (;;) {
    const page = await desk.register.listEntries({
      kind: "session",
      namePrefix: UNFINISHED,
      after,
      limit: limits.sessionsPageMax,
    });
    for (const { id } of page) {
      await finish(desk, id);
      if ((await shown(desk, id)).state === "finished") finished += 1;
      after = id;
    }
    if (page.length < limits.sessionsPageMax) return finished;
  }
}

/** A page of sessions that wait. It changes nothing, so that it needs no more than a register. */
export async function listSessions(
  desk: Pick<SessionDesk, "register" | "now">,
  { state, tenantId, after, limit }: SessionQuery,
): Promise<SessionPage> {
  const now = desk.now();
  const sessions: SessionView[] = [];
  let last = after ?? "";
  for (;;) {
    // What waits has a name, and finished ones, of which there may be millions, have none.
    const page = await desk.register.listEntries({
      kind: "session",
      namePrefix: "",
      after: last,
      limit: limits.sessionsPageMax,
    });
    for (const entry of page) {
      last = entry.id;
      const isPairedEnd = markOf(entry).state === "paired" && markOf(entry).boundary.boundary === "end";
      const view = viewOf(entry, now, limits.sessionOpenMaxMs);
      const isAsked = (state ?? view.state) === view.state && (tenantId ?? view.tenantId) === view.tenantId;
      if (isPairedEnd || !isAsked) continue;
      if (sessions.length === limit) return { sessions, next: sessions.at(-1)?.id ?? null };
      sessions.push(view);
    }
    if (page.length < limits.sessionsPageMax) return { sessions, next: null };
  }
}

async function dismiss(desk: SessionDesk, id: string, author: string): Promise<SessionView> {
  // What a crash left between a session's end and its event counts: it is no longer for an operator.
  await finish(desk, id);
  const entry = await desk.register.getEntry("session", id);
  if (entry === null || entry.deletedAt !== null)
    throw new MeterbookError("METER_NOT_FOUND", `No session with the id ${id} waits`);
  const { partner } = markOf(entry);
  const other = partner === null ? null : await desk.register.getEntry("session", partner);
  const outcome = await desk.register.changeEntries(
    [entry, other].flatMap((each) => (each === null || each.deletedAt !== null ? [] : dismissal(each, author))),
    desk.now(),
  );
  if (!outcome.done) throw new MeterbookError("METER_CONFLICT", "The session changed meanwhile; look at it again");
  return shown(desk, id);
}

function dismissal(entry: RegisterEntry, author: string): readonly RegisterChange[] {
  const { id, revision } = entry;
  const dismissed = bodyOf({ ...markOf(entry), state: "dismissed" });
  return [
    { kind: "session", id, seen: revision, names: [], body: dismissed, author },
    { kind: "session", id, seen: revision + 1, names: [], body: null, author },
  ];
}

async function answer(desk: SessionDesk, status: SessionResult["status"], id: string): Promise<SessionResult> {
  return { status, session: await shown(desk, id) };
}

async function shown(desk: SessionDesk, id: string): Promise<SessionView> {
  const entry = await desk.register.getEntry("session", id);
  if (entry === null) throw new MeterbookError("METER_NOT_FOUND", `No session has the id ${id}`);
  return viewOf(entry, desk.now(), limits.sessionOpenMaxMs);
}
