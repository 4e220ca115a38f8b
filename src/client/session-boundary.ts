import { InvalidEventError } from "./client-error.ts";
import { newId } from "./client-clock.ts";
import { ownMembers } from "./own-members.ts";
import { figureText, type Figure } from "./exact-json.ts";
import { instantMs, named, sentEvent, type EventContext, type Instant, type SentEvent } from "./sent-event.ts";

/** Where something was used, in meter-lib's words. */
export interface MeterPlace {
  /** Whose usage it is. */
  readonly tenantId: string;
  readonly deviceId?: string;
  /** The type of the event: meters are for one. */
  readonly meterId: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A figure of one meter. */
export interface MeterUsage extends MeterPlace {
  /** Counted exactly: a number, a bigint or a decimal text. */
  readonly totalUsage: Figure;
  /** When it was used. */
  readonly timestamp?: Instant;
  /** The same one counts once. Where left out, a new one is made. */
  readonly id?: string;
}

/** One end of a session. */
export interface SessionMoment extends MeterPlace {
  /** Names the session. Where left out, an end ends the earliest session that is open there. */
  readonly sessionId?: string;
  /** Where left out: now. */
  readonly time?: Instant;
  /** Names this boundary where the session has no name; the same one counts once. */
  readonly id?: string;
}

/** The source under which the simple usage route keeps reports, so that either way of sending one counts it once. */
const USAGE_SOURCE = "meterbook/usage";
const SESSION_SOURCE = "meterbook/sessions";

/** The event of a figure, exactly as the service makes it of the same report. Throws InvalidEventError. */
export function usageEvent(usage: MeterUsage, context: EventContext): SentEvent {
  const { tenantId, deviceId, meterId, totalUsage, timestamp, metadata = {}, id } = ownMembers(usage);
  return sentEvent(
    {
      source: USAGE_SOURCE,
      type: named(meterId, "/meterId"),
      subject: named(tenantId, "/tenantId"),
      ...(id === undefined ? {} : { id }),
      ...(timestamp === undefined ? {} : { time: timestamp }),
      data: {
        total_usage: figureText(totalUsage, "/totalUsage"),
        ...(deviceId === undefined ? {} : { device_id: named(deviceId, "/deviceId") }),
        ...(Object.keys(metadata).length === 0 ? {} : { metadata: texts(metadata) }),
      },
    },
    context,
  );
}

/** A session's boundary as it is sent. Throws InvalidEventError. */
export function boundaryEvent(
  kind: "session_start" | "session_end",
  moment: SessionMoment,
  context: EventContext,
): SentEvent {
  const { tenantId, deviceId, meterId, sessionId, time, metadata = {}, id: given } = ownMembers(moment);
  const now = context.clock.now();
  const at = time === undefined ? now : instantMs(time, "/time");
  const id = given === undefined ? newId(now, context.random) : named(given, "/id");
  return {
    kind,
    source: SESSION_SOURCE,
    id,
    type: named(meterId, "/meterId"),
    subject: named(tenantId, "/tenantId"),
    time: at,
    data: {
      tenant_id: tenantId,
      ...(deviceId === undefined ? {} : { device_id: named(deviceId, "/deviceId") }),
      meter_id: meterId,
      ...(sessionId === undefined ? {} : { session_id: named(sessionId, "/sessionId") }),
      time: at,
      ...(Object.keys(metadata).length === 0 ? {} : { metadata: texts(metadata) }),
      id,
    },
  };
}

function texts(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(metadata))
    if (typeof value !== "string") throw new InvalidEventError(`/metadata/${name}`, "is not a text");
  return { ...metadata };
}
