import { z } from "zod";

import { AGGREGATE_KINDS } from "../../core/aggregation.ts";
import type { Json } from "../../core/event.ts";
import type { Filter } from "../../core/filter.ts";
import type { MeterDraft, MeterEffect, MeterPatch, MeterTemplate, MeterView } from "../../engine/meters/meter-view.ts";
import { instantInput, instantShown, instantText } from "./instant.ts";
import { identifier, longText, shortText } from "./listing.ts";

const fieldPath = z
  .string()
  .min(1)
  .max(1_024)
  .meta({ description: "Field path over the event.", examples: ["data.tokens", "subject", "attributes.region"] });

const scalar = z.union([z.string().max(1_024), z.number(), z.boolean(), z.null()]);

/** A condition over an event; several are joined by `and`, `or` and `not`. */
const filterInput: z.ZodType<Filter> = z
  .lazy(() =>
    z.union([
      z.strictObject({ path: fieldPath, op: z.enum(["eq", "ne", "gt", "gte", "lt", "lte"]), value: scalar }),
      z.strictObject({ path: fieldPath, op: z.enum(["in", "not_in"]), value: z.array(scalar).min(1).max(1_000) }),
      z.strictObject({ path: fieldPath, op: z.literal("exists"), value: z.boolean() }),
      z.strictObject({
        path: fieldPath,
        op: z.enum(["contains", "starts_with", "ends_with", "like", "matches"]),
        value: z.string().max(1_024),
      }),
      z.strictObject({ and: z.array(filterInput).min(1).max(100) }),
      z.strictObject({ or: z.array(filterInput).min(1).max(100) }),
      z.strictObject({ not: filterInput }),
      z.strictObject({ cel: z.string().min(1).max(4_096) }),
    ]),
  )
  .meta({ id: "Filter", examples: [{ path: "data.status", op: "eq", value: 200 }] });

const labels = z
  .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "expected a label such as model"), fieldPath)
  .meta({ description: "Labels that split the usage: label → field path.", examples: [{ model: "data.model" }] });

const jsonObject = z.record(z.string(), z.json()) satisfies z.ZodType<Readonly<Record<string, Json>>>;

export const meterInput = z
  .strictObject({
    key: z
      .string()
      .max(64)
      .regex(/^[a-z0-9]+(?:_[a-z0-9]+)*$/, "expected lower-case letters and digits with single underscores between"),
    name: shortText.optional(),
    description: longText.nullable().optional(),
    unit: shortText.nullable().optional(),
    eventType: identifier.meta({ description: "Only events of this type." }),
    match: z.array(filterInput).max(100).meta({ description: "All of these must hold." }).optional(),
    aggregate: z.enum(AGGREGATE_KINDS),
    value: fieldPath.nullable().meta({ description: "Field path of the value; not for count." }).optional(),
    groupBy: labels.optional(),
    eventFrom: instantInput.nullable().meta({ description: "Events before this time do not count." }).optional(),
    report: z.boolean().meta({ description: "Report it to the biller; false when absent." }).optional(),
    missingValue: z
      .enum(["hold", "skip", "zero"])
      .meta({ description: "An event without the value: hold (when absent) shows it for decision." })
      .optional(),
    allowNegative: z.boolean().optional(),
    metadata: jsonObject.optional(),
  })
  .meta({
    id: "MeterDraft",
    examples: [
      {
        key: "tokens_total",
        eventType: "prompt",
        aggregate: "sum",
        value: "data.tokens",
        groupBy: { model: "data.model" },
      },
    ],
  });

export const meterPatch = z
  .strictObject({
    name: shortText.optional(),
    description: longText.nullable().optional(),
    metadata: jsonObject.optional(),
    groupBy: labels.optional(),
  })
  .meta({ id: "MeterPatch", examples: [{ description: "Tokens of all models" }] });

export const meterShown = z
  .object({
    id: z.string(),
    key: z.string(),
    name: z.string(),
    description: z.string().nullable(),
    unit: z.string().nullable(),
    eventType: z.string().nullable(),
    match: z.array(filterInput),
    aggregate: z.enum(AGGREGATE_KINDS),
    value: z.string().nullable(),
    groupBy: z.record(z.string(), z.string()),
    eventFrom: instantShown.nullable(),
    report: z.boolean(),
    metadata: jsonObject,
    origin: z
      .enum(["file", "api", "guide"])
      .meta({ description: "Meters of the file are changed there, and those of a guide with their guide." }),
    version: z.int(),
    createdAt: instantShown,
    updatedAt: instantShown,
    deletedAt: instantShown.nullable(),
  })
  .meta({ id: "Meter" });

/** What a new meter would do to the past. */
export const effectShown = z
  .object({
    events: z.int().meta({ description: "Stored events that it counts." }),
    reportedWindows: z.int().meta({ description: "Windows of usage among them that are closed or reported already." }),
    from: instantShown.nullable(),
    to: instantShown.nullable(),
  })
  .meta({ id: "MeterEffect" });

export const templateShown = z
  .object({
    key: z.string(),
    title: z.string(),
    description: z.string(),
    category: z.string(),
    meter: meterInput.meta({ description: "The resulting meter; POST /v1/meters takes it as it is." }),
  })
  .meta({ id: "MeterTemplate" });

type MeterInput = z.output<typeof meterInput>;

/** A new meter as the engine takes it. Usage without a value is held and shown, unless its caller says otherwise. */
export function draftOf({ missingValue, ...given }: MeterInput): MeterDraft {
  return { ...withoutUndefined(given), missingValue: missingValue ?? "hold" };
}

/** A change of a meter as the engine takes it. */
export function patchOf(given: z.output<typeof meterPatch>): MeterPatch {
  return withoutUndefined(given);
}

/** A meter as it is answered. */
export function showMeter({ eventFrom, createdAt, updatedAt, deletedAt, ...view }: MeterView): object {
  return {
    ...view,
    eventFrom: instantText(eventFrom),
    createdAt: instantText(createdAt),
    updatedAt: instantText(updatedAt),
    deletedAt: instantText(deletedAt),
  };
}

/** The effect of a meter as it is answered. */
export function showEffect({ events, reportedWindows, from, to }: MeterEffect): object {
  return { events, reportedWindows, from: instantText(from), to: instantText(to) };
}

/** A template with its preview: what POST /v1/meters takes. */
export function showTemplate({ draft, ...template }: MeterTemplate): object {
  const { eventFrom = null, ...meter } = draft;
  return { ...template, meter: eventFrom === null ? meter : { ...meter, eventFrom: instantText(eventFrom) } };
}

type Given<Value> = { [Name in keyof Value]: Exclude<Value[Name], undefined> };

/** The members that were given, in an object that inherits nothing: an absent one and an undefined one are the same. */
export function withoutUndefined<Value extends object>(value: Value): Given<Value> {
  const given = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.assign(Object.setPrototypeOf({}, null), Object.fromEntries(given));
}
