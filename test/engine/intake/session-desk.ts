import { compileCatalog } from "../../../src/core/catalog.ts";
import { formatDecimal } from "../../../src/core/decimal.ts";
import type { UsageEvent } from "../../../src/core/event.ts";
import type { MeterDefinition } from "../../../src/core/meter.ts";
import { ingest } from "../../../src/engine/ingest/ingest.ts";
import type { SessionBoundary } from "../../../src/engine/intake/session.ts";
import { openSessions, type SessionDesk, type Sessions } from "../../../src/engine/intake/sessions.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { tokens } from "../world.ts";

const chatHours: MeterDefinition = {
  ...tokens,
  key: "chat_on_time_hours",
  name: "Assistant hours",
  unit: "hour",
  eventType: "chat.on.time_hours",
  match: [],
  value: "data.total_usage",
  groupBy: {},
  reportAs: "chat_on_time_hours",
};

const querySeconds: MeterDefinition = {
  ...chatHours,
  key: "chat_query_time_secs",
  unit: null,
  eventType: "chat.query.time_secs",
  reportAs: "chat_query_time_secs",
};

/** Sessions over a store, at an instant that the test moves. */
export interface Desk {
  readonly sessions: Sessions;
  now: number;
  /** Runs before and after each event is stored; what it throws is a crash there. */
  crash: (where: "before" | "after") => void;
  /** Sessions over the same store, as another start of the process has them. */
  restart(): Sessions;
  /** Sum of a meter, and its events. */
  counted(meter: string): Promise<{ readonly value: string; readonly events: number }>;
}

export function deskOver(store: Store, now: number): Desk {
  const catalog = compileCatalog({
    versions: [chatHours, querySeconds].map((definition) => ({ definition, version: 1, effectiveFrom: 0 })),
    fields: {},
    unknownIdentity: "hold",
  });
  const accept = async (event: UsageEvent): Promise<"stored" | "duplicate" | "conflict"> => {
    desk.crash("before");
    const { stored, duplicates } = await ingest(store, catalog, [event], desk.now);
    desk.crash("after");
    if (stored === 1) return "stored";
    return duplicates === 1 ? "duplicate" : "conflict";
  };
  const parts: SessionDesk = {
    register: store,
    now: () => desk.now,
    companyOf: (subject) => subject,
    meterUnit: (eventType) => (eventType === chatHours.eventType ? chatHours.unit : null),
    accept,
  };
  const desk: Desk = {
    sessions: openSessions(parts),
    now,
    crash: () => undefined,
    restart: () => openSessions(parts),
    counted: async (meter) => {
      const buckets = await store.buckets({ meter });
      const value = buckets.reduce((sum, { state }) => sum + (state.value ?? 0n), 0n);
      return { value: formatDecimal(value), events: buckets.reduce((sum, { state }) => sum + state.events, 0) };
    },
  };
  return desk;
}

/** A boundary of tenant_123's chat on one device. */
export function mark(
  boundary: "start" | "end",
  time: number,
  more: Partial<Omit<SessionBoundary, "boundary" | "time">> = {},
): SessionBoundary {
  return {
    boundary,
    tenantId: "tenant_123",
    deviceId: "us-east-ing1",
    meterId: "chat.on.time_hours",
    sessionId: null,
    time,
    metadata: {},
    id: null,
    ...more,
  };
}
