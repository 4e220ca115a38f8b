import { divide, formatDecimal, fromInteger } from "../../core/decimal.ts";
import type { UsageEvent } from "../../core/event.ts";
import type { MeterVersion } from "../../core/meter.ts";
import { SESSION_SOURCE, type SessionBoundary } from "./session.ts";

/** What a time meter counts in. */
export type TimeUnit = "millisecond" | "second" | "minute" | "hour";

const UNIT_MS: Readonly<Record<TimeUnit, number>> = { millisecond: 1, second: 1_000, minute: 60_000, hour: 3_600_000 };

/** Spellings of units, in a meter's `unit` or behind the last `_` of its id. */
const SPELLINGS: ReadonlyMap<string, TimeUnit> = new Map([
  ...spelled("millisecond", ["ms", "msec", "msecs", "milliseconds"]),
  ...spelled("second", ["s", "sec", "secs", "seconds"]),
  ...spelled("minute", ["min", "mins", "minutes"]),
  ...spelled("hour", ["h", "hr", "hrs", "hours"]),
]);

function spelled(unit: TimeUnit, others: readonly string[]): readonly (readonly [string, TimeUnit])[] {
  return [unit, ...others].map((text) => [text, unit]);
}

/** The unit of a session's `total_usage`: what its meter says, else what the meter's id ends with, else the second. */
export function timeUnitOf(meterId: string, meterUnit: string | null): TimeUnit {
  const told = meterUnit === null ? undefined : SPELLINGS.get(meterUnit.toLowerCase());
  return told ?? SPELLINGS.get(meterId.slice(meterId.lastIndexOf("_") + 1).toLowerCase()) ?? "second";
}

/** The unit that the newest version of a meter for this event type states; null when none does. */
export function meterUnitOf(versions: readonly MeterVersion[], eventType: string): string | null {
  const newest = versions.findLast(({ definition, ended }) => definition.eventType === eventType && ended !== true);
  return newest?.definition.unit ?? null;
}

/**
 * The event that a finished session is: it happened when it ended, and its id is that of its start. `duration_ms` and
 * `duration_secs` are exact; `total_usage` is in the meter's unit, and what needs more than 12 fraction digits of an hour
 * or a minute is rounded to them, half to even: by less than 2 nanoseconds a session.
 */
export function sessionEvent(
  start: SessionBoundary,
  end: SessionBoundary,
  facts: {
    readonly id: string;
    readonly unit: TimeUnit;
    readonly company: string | null;
    readonly recordedAt: number;
  },
): UsageEvent {
  const durationMs = end.time - start.time;
  const { deviceId, sessionId } = start;
  const metadata = { ...start.metadata, ...end.metadata };
  return {
    source: SESSION_SOURCE,
    id: facts.id,
    type: start.meterId,
    time: end.time,
    recordedAt: facts.recordedAt,
    company: facts.company,
    user: null,
    subject: start.tenantId,
    data: {
      total_usage: inUnit(durationMs, facts.unit),
      duration_ms: durationMs,
      duration_secs: inUnit(durationMs, "second"),
      ...(deviceId === null ? {} : { device_id: deviceId }),
      ...(sessionId === null ? {} : { session_id: sessionId }),
      started_at: new Date(start.time).toISOString(),
      ended_at: new Date(end.time).toISOString(),
      ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
    },
  };
}

function inUnit(durationMs: number, unit: TimeUnit): string {
  return formatDecimal(divide(fromInteger(durationMs), fromInteger(UNIT_MS[unit]), "half_even"));
}
