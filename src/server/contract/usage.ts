import { z } from "zod";

const identifier = z.string().min(1).max(256);

/** Milliseconds since 1970 UTC as a number, or RFC 3339 with a zone. */
const sentTime = z.union([z.number().int(), z.iso.datetime({ offset: true })]).meta({
  description: "Milliseconds since 1970 UTC as a number, or RFC 3339 with a zone",
  examples: [1_759_791_552_000, "2025-10-06T22:59:12.000Z"],
});

const metadata = z
  .record(z.string().max(256), z.string().max(4_096))
  .meta({ description: "Context: names and texts. A meter may group by `data.metadata.<name>`." });

const figure = z.union([z.number(), z.string().max(64)]).meta({
  description: "How much was used: a JSON number of any length, or a decimal text. Counted exactly.",
  examples: [24, "0.125"],
});

/** Who used what where. `tenant_id` is meter-lib's spelling, `tenantId` this API's; either is taken. */
const place = {
  tenant_id: identifier.optional(),
  tenantId: identifier.optional(),
  device_id: identifier.optional(),
  deviceId: identifier.optional(),
  meter_id: identifier.optional(),
  meterId: identifier.optional(),
  session_id: identifier.optional(),
  sessionId: identifier.optional(),
  metadata: metadata.optional(),
  id: identifier.optional(),
  timestamp: sentTime.optional(),
};

/** The body of the simple usage route: a figure, or the start or end of a session. meter-lib's own bodies are such. */
export const usageBody = z
  .strictObject({
    ...place,
    total_usage: figure.optional(),
    totalUsage: figure.optional(),
    start_time: sentTime.optional(),
    startTime: sentTime.optional(),
    end_time: sentTime.optional(),
    endTime: sentTime.optional(),
    customer_id: z.string().max(256).nullable().optional(),
    customerId: z.string().max(256).nullable().optional(),
  })
  .meta({ id: "Usage" });
export type UsageBody = z.output<typeof usageBody>;

/** The body of the session routes. */
export const boundaryBody = z.strictObject({ ...place, time: sentTime.optional() }).meta({ id: "SessionBoundary" });
export type BoundaryBody = z.output<typeof boundaryBody>;

/** What became of a usage report. */
export const usageAnswer = z
  .object({
    status: z.enum(["stored", "duplicate"]),
    source: z.string(),
    id: z.string(),
    held: z.array(z.object({ meter: z.string(), reason: z.string(), detail: z.string() })),
    unmetered: z.boolean().meta({
      description:
        "No meter counts or holds it, as when the id is misspelled: it is kept, and a meter made later can count it",
    }),
  })
  .meta({ id: "UsageAnswer" });

const instant = z.iso.datetime().nullable();

/** A session as this API shows it. */
export const session = z
  .object({
    id: z.string(),
    tenantId: z.string(),
    deviceId: z.string().nullable(),
    meterId: z.string(),
    sessionId: z.string().nullable(),
    state: z.enum(["open", "held", "finished", "dismissed"]),
    reason: z.enum(["end_without_start", "end_before_start", "missing_end", "event_conflict"]).nullable(),
    startedAt: instant,
    endedAt: instant,
    durationMs: z.number().int().nullable(),
    metadata,
    event: z.object({ source: z.string(), id: z.string() }).nullable(),
  })
  .meta({ id: "Session" });

export const sessionAnswer = z
  .object({ status: z.enum(["open", "finished", "held", "duplicate"]), session })
  .meta({ id: "SessionAnswer" });

export const sessionList = z
  .object({ data: z.array(session), next: z.string().nullable() })
  .meta({ id: "SessionList" });

/** Who pays for a tenant. */
export const tenantCustomer = z
  .object({
    id: z.string(),
    key: z.string().nullable(),
    name: z.string(),
    description: z.string().nullable(),
    currency: z.string().nullable(),
    primaryEmail: z.string().nullable(),
    metadata: z.record(z.string(), z.string()),
    subjects: z.array(z.string()).meta({ description: "Subjects that it owns now" }),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: "TenantCustomer" });
