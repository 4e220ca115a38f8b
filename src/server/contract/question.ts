import { z } from "zod";

import { MeterbookError } from "../../core/errors.ts";
import type { LabelFilter, MeterQuestion, QueryWindow } from "../../engine/usage/meter-question.ts";
import { instantInput, instantShown } from "./instant.ts";
import { decimalShown, flag, identifier, several } from "./listing.ts";
import { withoutUndefined } from "./meter.ts";

const NAMED: Readonly<Record<string, QueryWindow>> = {
  minute: { unit: "minute", count: 1 },
  hour: { unit: "hour", count: 1 },
  day: { unit: "day", count: 1 },
  week: { unit: "week", count: 1 },
  month: { unit: "month", count: 1 },
  quarter: { unit: "quarter", count: 1 },
  year: { unit: "year", count: 1 },
  pt1h: { unit: "hour", count: 1 },
  p1d: { unit: "day", count: 1 },
  p7d: { unit: "week", count: 1 },
  p1w: { unit: "week", count: 1 },
  p1m: { unit: "month", count: 1 },
  p3m: { unit: "quarter", count: 1 },
  p1y: { unit: "year", count: 1 },
};

/** `DAY`, `P1D`, `PT15M` or `15m`; null for anything else. */
export function readWindow(text: string): QueryWindow {
  const word = text.toLowerCase();
  if (Object.hasOwn(NAMED, word)) return NAMED[word] ?? null;
  const minutes = /^(?:pt([1-9]\d{0,3})m|([1-9]\d{0,3})m)$/.exec(word);
  return minutes === null ? null : { unit: "minute", count: Number(minutes[1] ?? minutes[2]) };
}

const windowInput = z
  .string()
  .transform((text, context) => {
    const window = readWindow(text);
    if (window !== null) return window;
    context.addIssue({
      code: "custom",
      message: "expected MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER, YEAR, or minutes such as 15m or PT15M",
    });
    return z.NEVER;
  })
  .meta({ description: "One row for each window; one over all when absent.", examples: ["DAY", "PT15M", "15m"] });

const labelText = z.string().max(256).optional();

const labelFilter: z.ZodType<LabelFilter> = z
  .lazy(() =>
    z.strictObject({
      eq: labelText,
      ne: labelText,
      in: several(z.string().max(256), 100).optional(),
      nin: several(z.string().max(256), 100).optional(),
      like: labelText.meta({ description: "% is any text, _ any one character." }),
      nlike: labelText,
      ilike: labelText,
      nilike: labelText,
      gt: labelText,
      lt: labelText,
      gte: labelText,
      lte: labelText,
      and: z.array(labelFilter).max(20).optional(),
      or: z.array(labelFilter).max(20).optional(),
    }),
  )
  .transform((given) => withoutUndefined(given))
  .meta({ id: "LabelFilter" });

/** A text is `eq`, a list `in`; an object names its operators. */
const filterInput = z.preprocess(
  (value) => (typeof value === "string" ? { eq: value } : Array.isArray(value) ? { in: value } : value),
  labelFilter,
);

const asked = {
  from: instantInput.optional(),
  to: instantInput.optional(),
  windowSize: windowInput.optional(),
  timeZone: z
    .string()
    .min(1)
    .max(64)
    .meta({ description: "IANA time zone of the windows; UTC when absent.", examples: ["Europe/Berlin"] })
    .optional(),
  subjects: several(identifier, 100).meta({ description: "Only these subjects; rows are then by subject." }).optional(),
  customers: several(identifier, 100)
    .meta({ description: "Only these customers, by id or key; rows are then by customer." })
    .optional(),
  groupBy: several(identifier, 20)
    .meta({ description: "Labels of the meter that stay in the rows; also subject and customer." })
    .optional(),
  filters: z
    .record(identifier, filterInput)
    .meta({ description: "Conditions on labels: filters[model]=small, filters[model][like]=s%." })
    .optional(),
  progressId: z
    .string()
    .min(1)
    .max(64)
    .meta({ description: "Under which /v1/queries/{id} tells how far it is." })
    .optional(),
};

export const questionQuery = z.strictObject({
  ...asked,
  fill: flag.meta({ description: "Rows of 0 for windows without usage." }).optional(),
});

export const questionBody = z
  .strictObject({ ...asked, fill: z.boolean().optional() })
  .meta({ id: "Question", examples: [{ windowSize: "DAY", timeZone: "Europe/Berlin", groupBy: ["model"] }] });

export const answerShown = z
  .object({
    meter: z.string(),
    from: instantShown.nullable(),
    to: instantShown.nullable(),
    eventsRead: z.int().meta({ description: "0 when the figures came from usage that was summed already." }),
    data: z.array(
      z.object({
        from: instantShown,
        to: instantShown,
        value: decimalShown
          .nullable()
          .meta({ description: "Null where there is no figure, such as the greatest of nothing." }),
        events: z.int(),
        subject: z.string().nullable(),
        customer: z.string().nullable(),
        group: z.record(z.string(), z.string()),
      }),
    ),
    next: z.null(),
  })
  .meta({ id: "Answer" });

/** The question that a caller asks of a meter. METER_REQUEST_INVALID for bounds that do not fit. */
export function questionOf(meter: string, given: z.output<typeof questionBody>): MeterQuestion {
  const { from, to, windowSize, timeZone, fill, groupBy, ...others } = given;
  if (from !== undefined && to !== undefined && to <= from)
    throw new MeterbookError("METER_REQUEST_INVALID", "The time range is empty.", {
      mistakes: [{ pointer: "/to", message: "expected an instant after `from`" }],
    });
  return {
    meter,
    ...withoutUndefined({ from, to, ...others }),
    window: windowSize ?? null,
    zone: timeZone ?? "UTC",
    groupBy: groupBy ?? [],
    fill: fill ?? false,
  };
}
