import { isFault, readDecimal } from "./decimal.ts";
import type { HoldReason, Json, UsageEvent } from "./event.ts";
import { checkIdentifier } from "./event-rules.ts";
import { compilePath } from "./field-path.ts";
import { compileFilter } from "./filter.ts";
import { guideSource, ruleFilters, type Guide, type GuideRule } from "./guide.ts";
import { owns } from "./own-member.ts";
import { shown } from "./scalar.ts";

/** Why a record is suspended: the place that is wrong, and a sentence for people. */
export interface RecordProblem {
  /** Field path over the event. */
  readonly path: string;
  readonly reason: HoldReason;
  readonly detail: string;
}

/** What a guide makes of one record. */
export interface GuidedRecord {
  /** The event, as if nothing were wrong with it. */
  readonly event: UsageEvent;
  readonly rules: readonly GuideRule[];
  readonly problems: readonly RecordProblem[];
}

/** A guide, ready to read records. */
export interface RecordReader {
  readonly guide: Guide;
  /** `id` is for a guide without `dedupeBy`, or a record without it. */
  read(record: Json, context: { readonly now: number; readonly futureMs: number; readonly id: string }): GuidedRecord;
}

/** Compiles a guide. Throws PathError, FilterError or ExpressionError. */
export function recordReader(guide: Guide): RecordReader {
  const [userId, value, dedupe, timestamp] = [guide.userId, guide.value, guide.dedupeBy, guide.timestamp].map((path) =>
    path === null ? null : compilePath(path),
  );
  const validate = guide.validate.map((filter) => ({ filter, compiled: compileFilter(filter) }));
  const rules = guide.rules.map((rule) => ({ rule, compiled: compileFilter({ and: ruleFilters(rule) }) }));
  return {
    guide,
    read(record, { now, futureMs, id }) {
      const bare = { data: record, subject: undefined, type: guide.eventType };
      const problems: RecordProblem[] = [];
      const name = textOf(dedupe?.read(bare));
      if (guide.dedupeBy !== null && name === null) problems.push(missing(guide.dedupeBy));
      const user = textOf(userId?.read(bare));
      if (user === null) problems.push({ path: "company", reason: "no_company", detail: `${guide.userId} is missing` });
      problems.push(...valueProblems(guide, value?.read(bare)));
      const stated = timestamp?.read(bare);
      const time = instantOf(stated);
      const isTimed = time !== null && time !== "absent";
      if (time === null)
        problems.push({ path: "time", reason: "bad_timestamp", detail: `${guide.timestamp} is ${shown(stated)}` });
      if (isTimed && time > now + futureMs)
        problems.push({ path: "time", reason: "future", detail: `${guide.timestamp} lies ahead` });
      const event: UsageEvent = {
        source: guideSource(guide.key),
        id: name ?? id,
        type: guide.eventType,
        time: isTimed && time <= now + futureMs ? time : now,
        ...(isTimed && time <= now + futureMs ? { recordedAt: now } : {}),
        company: user,
        user: null,
        ...(user === null ? {} : { subject: user }),
        data: record,
        attributes: { guide: guide.key },
      };
      for (const { filter, compiled } of validate) {
        if (compiled.test(event)) continue;
        const path = owns(filter, "path") ? filter.path : "data";
        problems.push({ path, reason: "invalid_record", detail: compiled.failure(event) });
      }
      return { event, rules: rules.flatMap(({ rule, compiled }) => (compiled.test(event) ? [rule] : [])), problems };
    },
  };
}

/** The event with what is wrong with it: each meter that reads such a place holds it. */
export function suspendedEvent(event: UsageEvent, problems: readonly RecordProblem[]): UsageEvent {
  if (problems.length === 0) return event;
  // The first thing that is wrong with a place is the reason that is kept.
  const faults = Object.fromEntries(problems.toReversed().map(({ path, reason }) => [path, reason]));
  return { ...event, faults };
}

function valueProblems(guide: Guide, found: unknown): readonly RecordProblem[] {
  const path = guide.value;
  if (found === undefined || found === null || found === "")
    return [{ path, reason: "missing_value", detail: `${path} is missing` }];
  const number = readDecimal(found);
  if (isFault(number)) return [{ path, reason: number, detail: `${path} is ${shown(found)}` }];
  if (number < 0n && !guide.allowNegative)
    return [{ path, reason: "negative_value", detail: `${path} is ${shown(found)}` }];
  return [];
}

function missing(path: string): RecordProblem {
  return { path, reason: "invalid_record", detail: `${path} is missing` };
}

/** A usable name: a text or a number. */
function textOf(found: unknown): string | null {
  const text = typeof found === "number" ? String(found) : found;
  return typeof text === "string" && checkIdentifier(text) === null ? text : null;
}

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)$/;
/** The year 10000, the first that an ISO text of four digits cannot say. */
const END_OF_TIME_MS = 253_402_300_800_000;

/** ISO 8601 with a zone, or milliseconds since 1970; null for anything else that is there. */
function instantOf(found: unknown): number | "absent" | null {
  if (found === undefined || found === null || found === "") return "absent";
  const isDigits = typeof found === "string" && /^\d{1,15}$/.test(found);
  const time =
    typeof found === "number" || isDigits
      ? Math.trunc(+found)
      : typeof found === "string" && ISO.test(found)
        ? Date.parse(found)
        : Number.NaN;
  return Number.isSafeInteger(time) && time >= 0 && time < END_OF_TIME_MS ? time : null;
}
