import { z } from "zod";

import type { EventListQuery, ListedEvent } from "../../engine/intake/accepted.ts";
import { ingestedAt } from "./event-wire.ts";
import { instant } from "./instant.ts";
import { filterString, labelFilterOf } from "./label-filter-wire.ts";
import { matchesText, type TextCondition } from "./text-condition.ts";

/** Conditions on an instant that all must hold, milliseconds UTC. */
export interface TimeCondition {
  readonly eq?: number;
  readonly gt?: number;
  readonly gte?: number;
  readonly lt?: number;
  readonly lte?: number;
  readonly and?: readonly TimeCondition[];
  readonly or?: readonly TimeCondition[];
}

/** What a list of events is narrowed to; all must hold. */
export interface EventConditions {
  readonly id?: TextCondition;
  readonly source?: TextCondition;
  readonly subject?: TextCondition;
  readonly type?: TextCondition;
  readonly customer?: TextCondition;
  readonly time?: TimeCondition;
  readonly ingestedAt?: TimeCondition;
  readonly storedAt?: TimeCondition;
}

interface FilterTime {
  readonly $gt?: number | null | undefined;
  readonly $gte?: number | null | undefined;
  readonly $lt?: number | null | undefined;
  readonly $lte?: number | null | undefined;
  readonly $and?: readonly FilterTime[] | null | undefined;
  readonly $or?: readonly FilterTime[] | null | undefined;
}

const filterTime: z.ZodType<FilterTime> = z.strictObject({
  $gt: instant.nullish(),
  $gte: instant.nullish(),
  $lt: instant.nullish(),
  $lte: instant.nullish(),
  $and: z.lazy(() => z.array(filterTime)).nullish(),
  $or: z.lazy(() => z.array(filterTime)).nullish(),
});

const filterSchema = z.strictObject({
  id: filterString.nullish(),
  source: filterString.nullish(),
  subject: filterString.nullish(),
  type: filterString.nullish(),
  customerId: z.strictObject({ $in: z.array(z.string()).nullish() }).nullish(),
  time: filterTime.nullish(),
  ingestedAt: filterTime.nullish(),
});

/** The `filter` of `GET /api/v2/events`: a JSON object as text. */
export const eventFilter = z.string().transform((text, context): EventConditions => {
  const read = filterSchema.safeParse(parsed(text));
  if (read.success) return conditionsOf(read.data);
  for (const { path, message } of read.error.issues) context.addIssue(`${path.join(".") || "filter"}: ${message}`);
  return z.NEVER;
});

/** Whether a listed event fits all conditions. */
export function matchesEvent(conditions: EventConditions, listed: ListedEvent): boolean {
  const { event, subject, customer, storedAt } = listed;
  return (
    matchesText(conditions.id, event.id) &&
    matchesText(conditions.source, event.source) &&
    matchesText(conditions.type, event.type) &&
    matchesText(conditions.subject, subject ?? event.company) &&
    matchesText(conditions.customer, customer) &&
    matchesTime(conditions.time, event.time) &&
    matchesTime(conditions.ingestedAt, ingestedAt(listed)) &&
    matchesTime(conditions.storedAt, storedAt)
  );
}

/** What of the conditions the store can look up itself: never less than what fits. */
export function lookUp(conditions: EventConditions): Omit<EventListQuery, "limit" | "cursor"> {
  const { id, source, subject, type, customer, time } = conditions;
  const customers = customer?.in ?? (customer?.eq === undefined ? undefined : [customer.eq]);
  const from = time?.gte ?? (time?.gt === undefined ? undefined : time.gt + 1) ?? time?.eq;
  const to = time?.lt ?? plusOne(time?.lte ?? time?.eq);
  return {
    ...(id?.eq === undefined ? {} : { idPart: id.eq }),
    ...(source?.eq === undefined ? {} : { source: source.eq }),
    ...(subject?.eq === undefined ? {} : { subject: subject.eq }),
    ...(type?.eq === undefined ? {} : { type: type.eq }),
    ...(customers === undefined ? {} : { customers }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  };
}

function conditionsOf(filter: z.output<typeof filterSchema>): EventConditions {
  const { id, source, subject, type, customerId, time, ingestedAt: arrival } = filter;
  const within = customerId?.$in ?? null;
  return {
    ...(id ? { id: labelFilterOf(id) } : {}),
    ...(source ? { source: labelFilterOf(source) } : {}),
    ...(subject ? { subject: labelFilterOf(subject) } : {}),
    ...(type ? { type: labelFilterOf(type) } : {}),
    ...(within === null ? {} : { customer: { in: within } }),
    ...(time ? { time: timeOf(time) } : {}),
    ...(arrival ? { ingestedAt: timeOf(arrival) } : {}),
  };
}

function timeOf({ $gt, $gte, $lt, $lte, $and, $or }: FilterTime): TimeCondition {
  return {
    ...(isStated($gt) ? { gt: $gt } : {}),
    ...(isStated($gte) ? { gte: $gte } : {}),
    ...(isStated($lt) ? { lt: $lt } : {}),
    ...(isStated($lte) ? { lte: $lte } : {}),
    ...(isStated($and) ? { and: $and.map(timeOf) } : {}),
    ...(isStated($or) ? { or: $or.map(timeOf) } : {}),
  };
}

function isStated<Value>(value: Value | null | undefined): value is Value {
  return value !== null && value !== undefined;
}

function matchesTime(condition: TimeCondition | undefined, time: number): boolean {
  if (condition === undefined) return true;
  const { eq, gt, gte, lt, lte, and, or } = condition;
  return (
    (eq === undefined || time === eq) &&
    (gt === undefined || time > gt) &&
    (gte === undefined || time >= gte) &&
    (lt === undefined || time < lt) &&
    (lte === undefined || time <= lte) &&
    (and === undefined || and.every((each) => matchesTime(each, time))) &&
    (or === undefined || or.some((each) => matchesTime(each, time)))
  );
}

function plusOne(time: number | undefined): number | undefined {
  return time === undefined ? undefined : time + 1;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
