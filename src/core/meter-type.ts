import { ownMembers } from "./own-member.ts";
import { divide, formatDecimal, fromInteger, isFault, multiply, parseDecimal, type Decimal } from "./decimal.ts";
import type { AggregateKind } from "./aggregation.ts";
import type { Json } from "./event.ts";
import { MONTHLY, scheduleFault, type ResetSchedule } from "./reset-schedule.ts";

/** How a meter's records become its figure: `increment` counts records, the others take their value. */
export const METER_AGGREGATIONS = ["sum", "increment", "min", "max"] as const;
export type MeterAggregation = (typeof METER_AGGREGATIONS)[number];

/** A figure at which a meter tells early, once in a period. One of the two is stated: percent of the capacity, or the figure. */
export type Threshold = {
  readonly name: string;
  /** Exact decimal text. */
  readonly capacityPercentage: string | null;
  readonly absoluteValue: string | null;
  readonly customFields: { readonly [field: string]: Json };
};

/** A product that is metered: the form from which each customer's meter is made. Later changes do not touch those made already. */
export type MeterType = {
  /** Unique among living types. */
  readonly name: string;
  readonly description: string | null;
  /** What guiding rules send records to; many types may share one. */
  readonly category: string;
  readonly unit: string | null;
  readonly aggregation: MeterAggregation;
  readonly resetSchedule: ResetSchedule;
  /** IANA name, in which the schedule is read. */
  readonly timezone: string;
  /** Half-open span of record time in which it meters, milliseconds UTC; null = open. */
  readonly activeFrom: number | null;
  readonly activeTo: number | null;
  /** Exact decimal text. */
  readonly capacity: string | null;
  readonly thresholds: readonly Threshold[];
  readonly externalReference: string | null;
};

/** What a caller says of a type; what is left out is as meterTypeOf() says. */
export interface MeterTypeDraft {
  readonly name: string;
  readonly description?: string | null | undefined;
  readonly category: string;
  readonly unit?: string | null | undefined;
  readonly aggregation?: MeterAggregation | undefined;
  readonly resetSchedule?: { readonly [Field in keyof ResetSchedule]?: string | undefined } | undefined;
  readonly timezone?: string | undefined;
  readonly activeFrom?: number | null | undefined;
  readonly activeTo?: number | null | undefined;
  readonly capacity?: string | null | undefined;
  readonly thresholds?: readonly ThresholdDraft[] | undefined;
  readonly externalReference?: string | null | undefined;
}

export interface ThresholdDraft {
  readonly name: string;
  readonly capacityPercentage?: string | null | undefined;
  readonly absoluteValue?: string | null | undefined;
  readonly customFields?: Threshold["customFields"] | undefined;
}

/** A mistake by the JSON pointer of its place. */
export interface DraftMistake {
  readonly pointer: string;
  readonly message: string;
}

/** The type that a draft means: a sum that is reset each month, in UTC, active always. */
export function meterTypeOf(stated: MeterTypeDraft): MeterType {
  const draft = ownMembers(stated);
  return {
    name: draft.name,
    description: draft.description ?? null,
    category: draft.category,
    unit: draft.unit ?? null,
    aggregation: draft.aggregation ?? "sum",
    resetSchedule: scheduleOf(draft.resetSchedule),
    timezone: draft.timezone ?? "Etc/UTC",
    activeFrom: draft.activeFrom ?? null,
    activeTo: draft.activeTo ?? null,
    capacity: draft.capacity ?? null,
    thresholds: (draft.thresholds ?? []).map(ownMembers).map((threshold) => ({
      name: threshold.name,
      capacityPercentage: threshold.capacityPercentage ?? null,
      absoluteValue: threshold.absoluteValue ?? null,
      customFields: threshold.customFields ?? {},
    })),
    externalReference: draft.externalReference ?? null,
  };
}

// Without any field it is each month; with some, the others are cron's own "every".
function scheduleOf(draft: MeterTypeDraft["resetSchedule"]): ResetSchedule {
  if (draft === undefined) return MONTHLY;
  const { minute = "0", hour = "0", day = "*", month = "*", weekday = "*" } = ownMembers(draft);
  return { minute, hour, day, month, weekday };
}

/** What is wrong with a type, by place; nothing when it can be used. */
export function meterTypeMistakes(type: MeterType): readonly DraftMistake[] {
  const found: DraftMistake[] = [];
  const says = (pointer: string, message: string): void => void found.push({ pointer, message });
  for (const field of ["name", "category"] as const) {
    const text = type[field];
    if (text.length === 0 || text.length > NAME_LENGTH_MAX || /[\p{Cc}\p{Cs}]/u.test(text)) {
      says(`/${field}`, `expected a text of 1 to ${NAME_LENGTH_MAX} characters without control characters`);
    }
  }
  const fault = scheduleFault(type.resetSchedule, type.timezone);
  if (fault !== null) says(fault.includes("time zone") ? "/timezone" : "/resetSchedule", fault);
  const { activeFrom, activeTo, capacity } = type;
  if (activeFrom !== null && activeTo !== null && activeTo <= activeFrom)
    says("/activeTo", "expected an instant after activeFrom");
  if (capacity !== null && !isPositive(capacity)) says("/capacity", "expected a decimal number above 0 as text");
  const names = new Set<string>();
  for (const [at, threshold] of type.thresholds.entries()) {
    const message = thresholdFault(threshold, capacity, names);
    if (message !== null) says(`/thresholds/${at}`, message);
    names.add(threshold.name);
  }
  return found;
}

const NAME_LENGTH_MAX = 256;

function thresholdFault(threshold: Threshold, capacity: string | null, names: ReadonlySet<string>): string | null {
  const { name, capacityPercentage, absoluteValue } = threshold;
  if (name === "" || names.has(name)) return "expected a name of its own";
  if ((capacityPercentage === null) === (absoluteValue === null))
    return "expected either capacityPercentage or absoluteValue";
  if (capacityPercentage !== null && capacity === null) return "a percentage needs the type's capacity";
  if (!isPositive(capacityPercentage ?? absoluteValue ?? "")) return "expected a decimal number above 0 as text";
  return null;
}

/** The thresholds that a figure has reached, in the order of the type. */
export function crossedThresholds(
  type: Pick<MeterType, "capacity" | "thresholds">,
  value: Decimal,
): readonly Threshold[] {
  return type.thresholds.filter((threshold) => {
    const at = thresholdFigure(type, threshold);
    return at !== null && value >= at;
  });
}

/** The figure at which a threshold is reached; percentages are rounded up to 12 places. */
function thresholdFigure({ capacity }: Pick<MeterType, "capacity">, threshold: Threshold): Decimal | null {
  if (threshold.absoluteValue !== null) return decimalOf(threshold.absoluteValue);
  const [whole, percentage] = [decimalOf(capacity ?? ""), decimalOf(threshold.capacityPercentage ?? "")];
  if (whole === null || percentage === null) return null;
  const product = multiply(whole, percentage);
  return isFault(product) ? null : divide(product, fromInteger(100), "ceil");
}

/** The aggregate by which the usage of such a meter is kept. */
export function aggregateOf(aggregation: MeterAggregation): AggregateKind {
  return aggregation === "increment" ? "count" : aggregation;
}

/** The figure of several rules of one meter together; null = none has one. Sums and counts add up, extremes stay. */
export function combinedFigure(aggregation: MeterAggregation, figures: readonly (Decimal | null)[]): Decimal | null {
  const known = figures.filter((figure) => figure !== null);
  const [first, ...rest] = known;
  if (first === undefined) return null;
  return rest.reduce(JOINED[aggregation], first);
}

const JOINED: Readonly<Record<MeterAggregation, (a: Decimal, b: Decimal) => Decimal>> = {
  sum: (a, b) => a + b,
  increment: (a, b) => a + b,
  min: (a, b) => (a < b ? a : b),
  max: (a, b) => (a > b ? a : b),
};

/** A figure as a final record states it: 0 where nothing was counted. */
export function figureText(figure: Decimal | null): string {
  return formatDecimal(figure ?? 0n);
}

function isPositive(text: string): boolean {
  const value = decimalOf(text);
  return value !== null && value > 0n;
}

function decimalOf(text: string): Decimal | null {
  const value = parseDecimal(text);
  return isFault(value) ? null : value;
}
