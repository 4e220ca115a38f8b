import { z } from "zod";

import { METER_AGGREGATIONS } from "../core/meter-type.ts";
import { amountSchema, codeSchema, durationSchema, expectations, textSchema } from "./field-schema.ts";
import { matchSchema } from "./match-schema.ts";

const path = (description: string): z.ZodString => codeSchema(description, "a field path");
const customFieldsSchema = z
  .record(
    z.string(),
    z
      .union([z.string(), z.number(), z.boolean()])
      .meta({ description: "One field." })
      .register(expectations, { expected: "text, a number, true or false" }),
  )
  .meta({ description: "Fields of your own, which stand in records." });
const cronField = (description: string): z.ZodOptional<z.ZodString> =>
  textSchema(`${description} A cron field in quotes: "*", "1", "*/15".`).optional();

const resetSchema = z.strictObject({
  minute: cronField("Minutes past the hour; 0 when absent."),
  hour: cronField("Hours of the day; 0 when absent."),
  day: cronField("Days of the month, L is the last; every day when absent."),
  month: cronField("Months; every month when absent."),
  weekday: cronField("Days of the week, 0 is Sunday; every day when absent."),
});

const thresholdSchema = z.strictObject({
  name: textSchema("Name, which stands in its record."),
  capacityPercentage: amountSchema("Percent of the type's capacity at which it is told.").optional(),
  absoluteValue: amountSchema("Figure at which it is told.").optional(),
  customFields: customFieldsSchema.optional(),
});

export const meterTypeSchema = z.strictObject({
  description: textSchema("What it is, for people.").optional(),
  category: textSchema("What guiding rules send records to; several types may share one."),
  unit: textSchema("What one is, in the singular: sheet.").optional(),
  aggregation: z
    .enum(METER_AGGREGATIONS)
    .meta({ description: "How records become a figure: sum (default), increment (counts records), min or max." })
    .optional(),
  resetSchedule: resetSchema
    .meta({ description: "When a period ends; on the first of each month at midnight when absent." })
    .optional(),
  timezone: textSchema("IANA name of the zone of the schedule; Etc/UTC when absent.").optional(),
  activeFrom: textSchema("Instant from which it meters: 2026-01-01T00:00:00Z.").optional(),
  activeTo: textSchema("Instant from which it meters no more.").optional(),
  capacity: amountSchema("What percentages of thresholds are of.").optional(),
  thresholds: z
    .array(thresholdSchema)
    .meta({ description: "Figures that are told at once, once in a period." })
    .optional(),
  externalReference: textSchema("What the type is called elsewhere.").optional(),
});

const ruleSchema = z.strictObject({
  when: matchSchema.optional(),
  whenAny: matchSchema.optional(),
  category: textSchema("Category of the meter types whose meters are updated."),
  groupBy: z
    .array(z.array(path("Field path of a group.")).min(1))
    .meta({ description: "Lists of field paths; each list is a breakdown of its own." })
    .optional(),
  carryFirst: z
    .array(path("Field path."))
    .meta({ description: "Fields that the final record takes from the period's first record." })
    .optional(),
  carryLast: z
    .array(path("Field path."))
    .meta({ description: "Fields that the final record takes from the period's last record." })
    .optional(),
  createOnFirstUse: textSchema(
    "Meter type of which a meter is made for a user that has none; the record is suspended when absent.",
  ).optional(),
});

export const guideSchema = z.strictObject({
  eventType: textSchema("Type of the events that the records become; the guide's key when absent.").optional(),
  userId: path("Field path of the user, whose meters count it: data.userId."),
  value: path("Field path of the value: data.value."),
  timestamp: path("Field path of the time, ISO 8601 or milliseconds; the time of arrival when absent.").optional(),
  dedupeBy: path("Field path of what makes a record the same as another.").optional(),
  validate: matchSchema.optional(),
  rules: z
    .record(z.string(), ruleSchema.meta({ description: "One rule." }))
    .meta({ description: "Guiding rules by name; a record may meet several." }),
  allowNegative: z.boolean().meta({ description: "Count negative values; otherwise they are suspended." }).optional(),
  report: z.boolean().meta({ description: "Report the usage of its sums and counts to the biller too." }).optional(),
  suspendedMax: z
    .int()
    .min(0)
    .meta({ description: "A call with more bad records than this is refused as a whole." })
    .register(expectations, { expected: "a whole number from 0 on" })
    .optional(),
});

export const customerMeterSchema = z.strictObject({
  userId: textSchema("Whose meter it is: what stands in records at the guide's userId."),
  meterType: textSchema("Name of its meter type."),
  guide: textSchema("The guide whose records it takes (the meter key)."),
  customFields: customFieldsSchema.optional(),
  deleteOnReset: z.boolean().meta({ description: "Delete the meter after its next final record." }).optional(),
});

const sinkSchema = z.strictObject({
  kind: z.enum(["file", "webhook"]).meta({ description: "Where records go: a file, or a call of a URL." }),
  path: textSchema("The file, relative to this one; each record is appended and synced.").optional(),
  format: z.enum(["ndjson", "csv"]).meta({ description: "Form of the file; ndjson when absent." }).optional(),
  url: textSchema("Where records are posted: https, or http on this machine.").optional(),
  secret: z
    .string()
    .meta({ description: "Always ${RECORDS_SECRET} or another variable: the key of the signature." })
    .optional(),
  allowPrivate: z
    .boolean()
    .meta({ description: "Call addresses of private networks too; they are refused otherwise." })
    .optional(),
});

export const recordsSchema = z.strictObject({
  lateness: durationSchema("How long after its end a period waits for late records; 5m when absent.").optional(),
  sinks: z
    .record(z.string(), sinkSchema.meta({ description: "One sink." }))
    .meta({ description: "Where final records go, by name." })
    .optional(),
});
