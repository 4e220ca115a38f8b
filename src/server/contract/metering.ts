import { z } from "zod";

import { HOLD_REASONS } from "../../core/event.ts";
import { METER_AGGREGATIONS, type MeterTypeDraft } from "../../core/meter-type.ts";
import type { BucketStanding } from "../../engine/periods/bucket-standing.ts";
import type { StoredBucket } from "../../engine/periods/buckets.ts";
import { RECORD_KINDS, SINK_STATES } from "../../engine/periods/final-records.ts";
import type { StoredMeterType } from "../../engine/periods/meter-types.ts";
import type { SuspendedRecord } from "../../engine/periods/suspense.ts";
import { instantInput, instantShown, instantText } from "./instant.ts";
import { decimalShown, identifier, longText, shortText } from "./listing.ts";

const cronField = z
  .string()
  .min(1)
  .max(100)
  .meta({ description: "A cron field.", examples: ["0", "*", "*/15"] });
const decimalInput = z
  .union([z.string(), z.number()])
  .transform(String)
  .meta({ description: "An exact decimal number, as text or number.", examples: ["10000"] });
const customFields = z.record(z.string().min(1).max(64), z.json()).meta({ description: "Fields of the caller's own." });

/** What a caller says of a meter type. */
export const meterTypeInput = z.strictObject({
  name: shortText.meta({ description: "Unique among living types." }),
  description: longText.nullable().optional(),
  category: shortText.meta({ description: "What guiding rules send records to." }),
  unit: shortText.nullable().optional(),
  aggregation: z
    .enum(METER_AGGREGATIONS)
    .meta({ description: "sum when absent; increment counts records." })
    .optional(),
  resetSchedule: z
    .strictObject({
      minute: cronField.optional(),
      hour: cronField.optional(),
      day: cronField.optional(),
      month: cronField.optional(),
      weekday: cronField.optional(),
    })
    .meta({ description: "When a period ends; the first of each month at midnight when absent." })
    .optional(),
  timezone: shortText.meta({ description: "IANA name; Etc/UTC when absent." }).optional(),
  activeFrom: instantInput.nullable().optional(),
  activeTo: instantInput.nullable().optional(),
  capacity: decimalInput.nullable().optional(),
  thresholds: z
    .array(
      z.strictObject({
        name: shortText,
        capacityPercentage: decimalInput.nullable().optional(),
        absoluteValue: decimalInput.nullable().optional(),
        customFields: customFields.optional(),
      }),
    )
    .max(100)
    .optional(),
  externalReference: shortText.nullable().optional(),
});
export const meterTypePatch = meterTypeInput.partial();

/** A patch without the members that were left out. */
export function typePatchOf(given: z.output<typeof meterTypePatch>): Partial<MeterTypeDraft> {
  const members = Object.entries(given).filter(([, member]) => member !== undefined);
  return Object.fromEntries(members);
}

const typeMembers = {
  name: z.string(),
  description: z.string().nullable(),
  category: z.string(),
  unit: z.string().nullable(),
  aggregation: z.enum(METER_AGGREGATIONS),
  resetSchedule: z.object({
    minute: z.string(),
    hour: z.string(),
    day: z.string(),
    month: z.string(),
    weekday: z.string(),
  }),
  timezone: z.string(),
  activeFrom: instantShown.nullable(),
  activeTo: instantShown.nullable(),
  capacity: decimalShown.nullable(),
  thresholds: z.array(
    z.object({
      name: z.string(),
      capacityPercentage: decimalShown.nullable(),
      absoluteValue: decimalShown.nullable(),
      customFields,
    }),
  ),
  externalReference: z.string().nullable(),
};
const storedMembers = { id: z.string(), revision: z.int(), createdAt: instantShown, updatedAt: instantShown };

export const meterTypeShown = z.object({ ...storedMembers, ...typeMembers });

/** A meter type as it is answered. */
export function showMeterType(type: StoredMeterType): object {
  return { ...type, ...activeTexts(type), ...storedTexts(type) };
}

export const bucketInput = z.strictObject({
  userId: identifier.meta({ description: "Whose meter it is." }),
  meterType: identifier.meta({ description: "Id or name of its type." }),
  meterKey: identifier.meta({ description: "The guide whose records it takes." }),
  customFields: customFields.optional(),
  deleteOnReset: z.boolean().optional(),
  since: instantInput.meta({ description: "Begin of the first period; now when absent." }).optional(),
});
export const bucketPatch = z.strictObject({ deleteOnReset: z.boolean() });

const bucketMembers = {
  ...storedMembers,
  userId: z.string(),
  meterKey: z.string(),
  meterTypeId: z.string(),
  meterType: z.object(typeMembers).meta({ description: "The type as it was when the meter was made." }),
  customFields,
  deleteOnReset: z.boolean(),
  since: instantShown,
  periodStart: instantShown,
  periodEnd: instantShown,
};
export const bucketShown = z.object(bucketMembers);

const groupsShown = z
  .array(
    z.object({
      rule: z.string(),
      breakdowns: z.array(
        z.object({
          by: z.array(z.string()),
          values: z.array(z.object({ group: z.record(z.string(), z.string()), value: decimalShown, records: z.int() })),
          isCut: z.boolean(),
        }),
      ),
    }),
  )
  .meta({ description: "What each rule counted, by each of its lists of fields." });

export const standingShown = z.object({
  ...bucketMembers,
  value: decimalShown,
  records: z.int(),
  groups: groupsShown,
  reached: z.array(z.string()).meta({ description: "Names of the thresholds that the figure has reached." }),
});

/** A customer's meter as it is answered. */
export function showBucket({ guide, type, ...bucket }: StoredBucket): object {
  const { since, periodStart, periodEnd } = bucket;
  return {
    ...bucket,
    meterKey: guide,
    meterType: { ...type, ...activeTexts(type) },
    since: instantText(since),
    periodStart: instantText(periodStart),
    periodEnd: instantText(periodEnd),
    ...storedTexts(bucket),
  };
}

/** A customer's meter with what it has counted in its present period. */
export function showStanding(standing: BucketStanding): object {
  return showBucket(standing);
}

export const finalRecordShown = z.object({
  id: z.string().meta({ description: "Stable: whoever gets the record twice can tell by it." }),
  kind: z.enum(RECORD_KINDS),
  meterId: z.string(),
  userId: z.string(),
  meterTypeId: z.string(),
  meterTypeName: z.string(),
  category: z.string(),
  meterKey: z.string(),
  unit: z.string().nullable(),
  aggregation: z.enum(METER_AGGREGATIONS),
  timezone: z.string(),
  value: decimalShown,
  records: z.int(),
  periodStart: instantShown,
  periodEnd: instantShown,
  createdAt: instantShown,
  updatedAt: instantShown,
  groups: groupsShown,
  carryFirst: z.record(z.string(), z.json()),
  carryLast: z.record(z.string(), z.json()),
  deleteOnReset: z.boolean(),
  capacity: decimalShown.nullable(),
  thresholds: typeMembers.thresholds,
  metadata: z.record(z.string(), z.json()),
  revision: z.int(),
  corrects: z.string().nullable(),
  previousValue: decimalShown.nullable(),
  sinks: z.array(
    z.object({
      sink: z.string(),
      state: z.enum(SINK_STATES),
      attempts: z.int(),
      error: z.string().nullable(),
    }),
  ),
});

export const recordsInput = z.strictObject({
  records: z
    .array(z.record(z.string(), z.json()))
    .min(1)
    .meta({ description: "Records as the stream has them; the guide says what is read of them." }),
});

const suspendedWhy = z.object({ reason: z.enum(HOLD_REASONS), detail: z.string() });

export const recordsShown = z.object({
  source: z.string(),
  stored: z.int(),
  duplicates: z.int(),
  conflicts: z.int(),
  suspended: z.int().meta({ description: "Stored, and counted nowhere until they are replayed." }),
  unmatched: z.int().meta({ description: "Stored, and of no rule of the guide: they update no meter." }),
  metersCreated: z.int(),
  results: z.array(
    z.object({
      index: z.int(),
      status: z.enum(["stored", "duplicate", "conflict"]),
      id: z.string(),
      userId: z.string().nullable(),
      rules: z.array(z.string()),
      suspended: suspendedWhy.nullable(),
    }),
  ),
});

export const suspendedShown = z.object({
  id: z.string(),
  source: z.string(),
  meterKey: z.string(),
  userId: z.string().nullable(),
  time: instantShown,
  reason: z.enum(HOLD_REASONS),
  problems: z.array(z.string()).meta({ description: "What is wrong now; none = replaying it counts it." }),
  record: z.json(),
});

/** A suspended record as it is answered. */
export function showSuspended({ seq: _seq, guide, time, ...record }: SuspendedRecord): object {
  return { ...record, meterKey: guide, time: instantText(time) };
}

function activeTexts({ activeFrom, activeTo }: { activeFrom: number | null; activeTo: number | null }): object {
  return { activeFrom: instantText(activeFrom), activeTo: instantText(activeTo) };
}

function storedTexts({ createdAt, updatedAt }: { createdAt: number; updatedAt: number }): object {
  return { createdAt: instantText(createdAt), updatedAt: instantText(updatedAt) };
}
