import { z } from "zod";

import { formatDecimal } from "../../core/decimal.ts";
import type { Status } from "../../engine/books/status.ts";
import type { CorrectionSummary, Instead } from "../../engine/corrections/correct.ts";
import { ROW_ORDERS, type ResolvedRow } from "../../engine/corrections/row-orders.ts";
import type { HeldRow, OutboxRow } from "../../engine/ports.ts";
import type { HeldUsage } from "../backend.ts";
import { valueText } from "./event.ts";
import { instantShown, instantText } from "./instant.ts";
import { decimalShown, identifier, pageQuery } from "./listing.ts";

const cause = z.string().min(1).max(1_024).meta({ description: "Why; it is kept." });
const source = identifier.meta({ description: "Needed where several sources used the same id." }).optional();
const dryRun = z.boolean().meta({ description: "Show what would change, and change nothing." }).optional();

export const voidInput = z
  .strictObject({ cause, source, dryRun })
  .meta({ id: "Voiding", examples: [{ cause: "sent twice under two ids" }] });

const scalarText = z.union([z.string().max(64 * 1024), z.number(), z.boolean()]).transform(String);

export const replaceInput = z
  .strictObject({
    cause,
    source,
    dryRun,
    values: z
      .array(z.strictObject({ path: identifier, value: scalarText }))
      .min(1)
      .max(100)
      .meta({ description: "What stands at these field paths instead." })
      .optional(),
    meter: identifier.meta({ description: "The meter whose value field is set." }).optional(),
    value: scalarText.optional(),
  })
  .refine(({ values, meter, value }) => (values === undefined) === (meter !== undefined && value !== undefined), {
    message: "expected either values, or meter and value",
  })
  .meta({ id: "Replacement", examples: [{ cause: "wrong unit", meter: "tokens_total", value: "120" }] });

export const assignInput = z
  .strictObject({ company: identifier, source })
  .meta({ id: "AssignmentOrder", examples: [{ company: "acme" }] });

export const resolveInput = z
  .strictObject({ as: z.enum(ROW_ORDERS), cause, dryRun })
  .meta({ id: "Resolution", examples: [{ as: "resend", cause: "the biller lost it" }] });

export const heldQuery = z.strictObject({ limit: pageQuery.limit });

const named = z.object({ source: z.string(), id: z.string() });

export const correctionShown = z
  .object({
    event: named,
    replacement: named.nullable(),
    verdicts: z.array(z.object({ meter: z.string(), before: z.string().nullable(), after: z.string().nullable() })),
    usage: z.array(
      z.object({
        meter: z.string(),
        company: z.string(),
        from: instantShown,
        to: instantShown,
        before: z.string().nullable(),
        after: z.string().nullable(),
        difference: z.string().nullable(),
        reported: decimalShown,
      }),
    ),
    applied: z.boolean(),
  })
  .meta({ id: "Correction" });

export const assignedShown = z
  .object({ assigned: z.boolean(), counted: z.array(z.string()).meta({ description: "Meters that count it now." }) })
  .meta({ id: "Assigned" });

const reportShown = z
  .object({
    row: z.int(),
    meter: z.string(),
    company: z.string(),
    customer: z.string().nullable(),
    state: z.string(),
    reason: z.string().nullable(),
    from: instantShown,
    to: instantShown,
    value: decimalShown,
  })
  .meta({ id: "Report" });

export const heldShown = z
  .object({
    events: z.array(
      z.object({
        source: z.string(),
        id: z.string(),
        time: instantShown,
        meter: z.string(),
        reason: z.string(),
        detail: z.string(),
        value: z.string().nullable(),
      }),
    ),
    reports: z.array(reportShown),
  })
  .meta({ id: "Held" });

export const resolvedShown = z
  .object({ report: reportShown, to: z.string(), applied: z.boolean(), anew: reportShown.nullable() })
  .meta({ id: "Resolved" });

export const statusShown = z
  .object({
    events: z.int(),
    heldEvents: z.int(),
    backlogBytes: z.int(),
    outbox: z.record(z.string(), z.int()),
    noSubscription: z.array(
      z.object({ company: z.string(), customer: z.string().nullable(), meter: z.string(), rows: z.int() }),
    ),
    lagMs: z.number(),
    drift: z.record(z.string(), z.int()),
    shadow: z.boolean(),
    conflicts: z.int(),
    lastEventAt: instantShown.nullable(),
  })
  .meta({ id: "Status" });

/** What counts instead of a wrong event. */
export function insteadOf({ values, meter, value }: z.output<typeof replaceInput>): Instead {
  if (values === undefined) return { meter: meter ?? "", text: value ?? "" };
  return { values: values.map(({ path, value: text }) => ({ path, text })) };
}

/** A correction as it is answered. */
export function showCorrection({ event, replacement, verdicts, usage, applied }: CorrectionSummary): object {
  return {
    event,
    replacement: replacement === null ? null : { source: replacement.source, id: replacement.id },
    verdicts,
    usage: usage.map((change) => ({ ...change, from: instantText(change.from), to: instantText(change.to) })),
    applied,
  };
}

/** What is held as it is answered. */
export function showHeld({ events, reports }: HeldUsage): object {
  return { events: events.map(showHold), reports: reports.map(showReport) };
}

/** An order about a report as it is answered. */
export function showResolved({ row, to, applied, anew }: ResolvedRow): object {
  return { report: showReport(row), to, applied, anew: anew === null ? null : showReport(anew) };
}

/** The books at a glance, as they are answered. */
export function showStatus(status: Status): object {
  const { held, backlog, no_subscription, lag_ms, last_event_at, ...others } = status;
  return {
    ...others,
    heldEvents: held,
    backlogBytes: backlog,
    noSubscription: no_subscription,
    lagMs: lag_ms,
    lastEventAt: instantText(last_event_at),
  };
}

function showHold({ source: from, id, time, meter, reason, detail, value }: HeldRow): object {
  return { source: from, id, time: instantText(time), meter, reason, detail, value: valueText(value) };
}

function showReport(row: OutboxRow): object {
  const { rowId, meter, company, customer, state, reason, windowStart, windowEnd, raw } = row;
  const span = { from: instantText(windowStart), to: instantText(windowEnd) };
  return { row: rowId, meter, company, customer, state, reason, ...span, value: formatDecimal(raw) };
}
