import { z } from "zod";

import { formatDecimal } from "../../core/decimal.ts";
import type { EventListQuery, EventPage, EventResult, ListedEvent } from "../../engine/intake/accepted.ts";
import type { Explanation } from "../../engine/usage/explain.ts";
import { instantInput, instantShown, instantText } from "./instant.ts";
import { identifier, pageQuery, PAGE_SIZE, several } from "./listing.ts";
import { withoutUndefined } from "./meter.ts";

const problemShown = z.object({ pointer: z.string(), message: z.string() });

const resultShown = z
  .object({
    status: z.enum(["stored", "duplicate", "conflict", "rejected"]).meta({
      description:
        "stored: in a call that was not kept it would have been; duplicate: it was here already; conflict: another event has its source and id, which stays.",
    }),
    index: z.int().meta({ description: "Its place in the call, from 0." }),
    source: z.string().nullable(),
    id: z.string().nullable(),
    held: z.array(z.object({ meter: z.string(), reason: z.string(), detail: z.string() })).optional(),
    unmetered: z
      .boolean()
      .meta({ description: "No meter counts or holds it: it is kept, and a meter made later can count it." })
      .optional(),
    problems: z.array(problemShown).optional(),
  })
  .meta({ id: "EventResult" });

export const resultsShown = z
  .object({
    stored: z.int().meta({ description: "How many were stored by this call; 0 when `kept` is false." }),
    duplicates: z.int(),
    conflicts: z.int(),
    rejected: z.int(),
    kept: z.boolean().meta({ description: "False when nothing was kept, because the call was atomic." }),
    results: z.array(resultShown),
  })
  .meta({ id: "EventResults" });

export const eventQuery = z.strictObject({
  ...pageQuery,
  from: instantInput.optional(),
  to: instantInput.optional(),
  ingestedFrom: instantInput.optional(),
  ingestedTo: instantInput.optional(),
  id: identifier.meta({ description: "A part of the id." }).optional(),
  subject: identifier.optional(),
  type: identifier.optional(),
  source: identifier.optional(),
  customers: several(identifier, 100).optional(),
});

export const eventShown = z
  .object({
    event: z.looseObject({ source: z.string(), id: z.string(), type: z.string(), time: instantShown }),
    subject: z.string().nullable(),
    customer: z.string().nullable(),
    voided: z.boolean(),
    storedAt: instantShown,
    problems: z.array(z.object({ code: z.string(), message: z.string(), meter: z.string().nullable() })),
  })
  .meta({ id: "ListedEvent" });

const span = z.object({ from: instantShown, to: instantShown });

export const explanationShown = z
  .object({
    event: z.looseObject({ source: z.string(), id: z.string(), type: z.string(), time: instantShown }),
    verdicts: z.array(
      z.object({
        meter: z.string(),
        counted: z.boolean(),
        held: z.boolean(),
        value: z.string().nullable(),
        reason: z.string().nullable(),
        window: span.nullable(),
        record: z.looseObject({ state: z.string(), value: z.string() }).nullable(),
      }),
    ),
    voided: z.looseObject({ cause: z.string(), author: z.string(), at: instantShown }).nullable(),
    otherSources: z.array(z.string()),
  })
  .meta({ id: "Explanation" });

/** The results of a call with their numbers. */
export function showResults(results: readonly EventResult[], kept: boolean): z.output<typeof resultsShown> {
  const of = (wanted: EventResult["status"]): number => results.filter(({ status }) => status === wanted).length;
  return {
    stored: kept ? of("stored") : 0,
    duplicates: of("duplicate"),
    conflicts: of("conflict"),
    rejected: of("rejected"),
    kept,
    results: results.map((result) =>
      result.status === "rejected"
        ? { ...result, problems: [...result.problems] }
        : { ...result, held: result.held.map((hold) => ({ ...hold })) },
    ),
  };
}

/** The question of a list of events. */
export function listQueryOf({ id: idPart, limit, ...given }: z.output<typeof eventQuery>): EventListQuery {
  return { ...withoutUndefined({ ...given, idPart }), limit: limit ?? PAGE_SIZE };
}

/** A page of events as it is answered. */
export function showEvents({ events, next }: EventPage): object {
  return { data: events.map(showListed), next };
}

function showListed({ event, subject, customer, voided, storedAt, problems }: ListedEvent): object {
  return { event: showEvent(event), subject, customer, voided, storedAt: instantText(storedAt), problems };
}

function showEvent({ time, recordedAt, ...event }: ListedEvent["event"]): object {
  const recorded = recordedAt === undefined ? {} : { recordedAt: instantText(recordedAt) };
  return { ...event, time: instantText(time), ...recorded };
}

/** An explanation as it is answered. */
export function showExplanation({ event, verdicts, voided, otherSources }: Explanation): object {
  return {
    event: showEvent(event),
    verdicts: verdicts.map((verdict) => ({
      ...verdict,
      window:
        verdict.window === null ? null : { from: instantText(verdict.window.from), to: instantText(verdict.window.to) },
    })),
    voided: voided === null ? null : { ...voided, at: instantText(voided.at) },
    otherSources,
  };
}

/** A metered value as text. */
export function valueText(value: string | bigint | null): string | null {
  return typeof value === "bigint" ? formatDecimal(value) : value;
}
