/** One end of a session of a time meter, as it was sent: use began, or use ended. */
export interface SessionBoundary {
  readonly boundary: "start" | "end";
  /** The subject of the usage. */
  readonly tenantId: string;
  readonly deviceId: string | null;
  /** The type of the event that the finished session becomes. */
  readonly meterId: string;
  /** Names the session; null where the sender has no name for it: then starts and ends pair in the order of their times. */
  readonly sessionId: string | null;
  /** Milliseconds UTC. */
  readonly time: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** Names this boundary, so that it can be sent again; null = its time does. Not needed beside a session id. */
  readonly id: string | null;
}

/** Why a boundary counts for nothing yet. */
export type SessionFault = "end_without_start" | "end_before_start" | "missing_end" | "event_conflict";

/** A session as people see it. A start that waits is open; an end that waits, or a start that waits for too long, is held. */
export interface SessionView {
  /** The id of its first boundary: what `dismissSession` takes. */
  readonly id: string;
  readonly tenantId: string;
  readonly deviceId: string | null;
  readonly meterId: string;
  readonly sessionId: string | null;
  readonly state: "open" | "held" | "finished" | "dismissed";
  readonly reason: SessionFault | null;
  /** Milliseconds UTC. */
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly durationMs: number | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** The event that counts it, once it is finished. */
  readonly event: { readonly source: string; readonly id: string } | null;
}

/** What became of a boundary. A duplicate says nothing new; a conflict names a boundary that said something else. */
export interface SessionResult {
  readonly status: "open" | "finished" | "held" | "duplicate" | "conflict";
  readonly session: SessionView;
}

/** A question for sessions that wait, in the order of their ids. */
export interface SessionQuery {
  readonly state?: "open" | "held";
  readonly tenantId?: string;
  /** Only sessions behind this id. */
  readonly after?: string;
  readonly limit: number;
}

export interface SessionPage {
  readonly sessions: readonly SessionView[];
  /** `after` of the next page; null when this is the last one. */
  readonly next: string | null;
}

/** The source of the events that finished sessions become. */
export const SESSION_SOURCE = "meterbook/sessions";
