import type { Filter } from "./filter.ts";
import { aggregateOf, type MeterAggregation } from "./meter-type.ts";
import type { MeterDefinition } from "./meter.ts";

/** One rule of a guide: which records it sends to the meters of a category, and what is kept of them. */
export type GuideRule = {
  /** Part of the names of its meters: lower-case letters, digits and single underscores. */
  readonly key: string;
  /** `always`: no condition. Comparison is case-sensitive. */
  readonly when: "always" | "all" | "any";
  readonly conditions: readonly Filter[];
  /** Of the meter types whose meters a record updates. */
  readonly category: string;
  /** Lists of field paths; each list is a breakdown of its own. */
  readonly groupBy: readonly (readonly string[])[];
  /** Field paths whose values of the first and the last record of a period stand in its final record. */
  readonly carryFirst: readonly string[];
  readonly carryLast: readonly string[];
  /** The meter type of which a meter is made for a user that has none of the category; null = the record is suspended. */
  readonly createOnFirstUse: string | null;
};

/** How records of one stream become events: what is read of them, what makes them bad, and whose meters they update. */
export type Guide = {
  /** The meter key that meters are provisioned with. */
  readonly key: string;
  /** Type of the events that its records become. */
  readonly eventType: string;
  /** Field paths over the event, whose `data` is the record: `data.userId`. */
  readonly userId: string;
  readonly value: string;
  /** Null, or nothing there: the time of arrival. */
  readonly timestamp: string | null;
  /** What makes a record the same as another one; null = each is its own. */
  readonly dedupeBy: string | null;
  /** Every one must hold, or the record is suspended. */
  readonly validate: readonly Filter[];
  readonly rules: readonly GuideRule[];
  /** Rules that were taken out: they count no more, and what they counted stays in the figures. */
  readonly formerRules?: readonly GuideRule[];
  readonly allowNegative: boolean;
  /** Whether usage of its meters is reported to the biller; only sums and counts can be. */
  readonly report: boolean;
  /** A call with more bad records than this is refused as a whole; null = never. */
  readonly suspendedMax: number | null;
};

/** The source of a guide's events. */
export function guideSource(guide: string): string {
  return `guide/${guide}`;
}

/** The meter that counts a guide's records whatever the rules, and holds every suspended one. */
export function recordsMeter(guide: string): string {
  return `${guide}_records`;
}

/** The meter that keeps the usage of one rule by one aggregation. */
export function ruleMeter(guide: string, rule: string, aggregation: MeterAggregation): string {
  return `${guide}_${rule}_${aggregation}`;
}

/** The label of a grouping field: the name behind its last point. */
export function fieldLabel(path: string): string {
  const name = /([\p{L}\p{N}_-]+)\W*$/u.exec(path)?.[1] ?? path;
  return name.replaceAll(/[^A-Za-z0-9_]/g, "_").replace(/^(?=[0-9])/, "_");
}

/** The different fields by which a rule's usage is grouped: label → path. Throws a RangeError when two have one label. */
export function ruleLabels({ groupBy }: Pick<GuideRule, "groupBy">): Readonly<Record<string, string>> {
  const labels = new Map<string, string>();
  for (const path of new Set(groupBy.flat())) {
    const label = fieldLabel(path);
    const other = labels.get(label);
    if (other !== undefined) throw new RangeError(`${other} and ${path} would have one label, ${label}`);
    labels.set(label, path);
  }
  return Object.fromEntries(labels);
}

/**
 * The meters that count a guide's records, as any other meter counts events, so that usage stands once in the books. A
 * suspended record bears a fault at the place that is wrong; every meter reads these places, and so each one holds it.
 */
export function guideMeters(
  guide: Guide,
  aggregationsOf: (category: string) => readonly MeterAggregation[],
): readonly MeterDefinition[] {
  const match = recordFilters(guide);
  const records = meterOf(guide, { key: recordsMeter(guide.key), name: `Records of ${guide.key}`, match });
  const rules = guide.rules.flatMap((rule) =>
    aggregationsOf(rule.category).map((aggregation) => {
      const aggregate = aggregateOf(aggregation);
      const isAdditive = aggregate === "sum" || aggregate === "count";
      return meterOf(guide, {
        key: ruleMeter(guide.key, rule.key, aggregation),
        name: `${rule.category} by ${aggregation}`,
        match: [...match, ...ruleFilters(rule)],
        aggregate,
        value: aggregate === "count" ? null : guide.value,
        groupBy: ruleLabels(rule),
        report: guide.report && isAdditive,
      });
    }),
  );
  return [records, ...rules];
}

/** The conditions of a rule as lines that must all hold. */
export function ruleFilters({ when, conditions }: Pick<GuideRule, "when" | "conditions">): readonly Filter[] {
  if (when === "always") return [];
  return when === "all" ? conditions : [{ or: conditions }];
}

function recordFilters(guide: Guide): readonly Filter[] {
  // null is a value: these lines fail never, and are undecided where the record bears a fault.
  const read = ["company", "time", ...(guide.dedupeBy === null ? [] : [guide.dedupeBy])];
  return [
    { path: "source", op: "in", value: [guideSource(guide.key), "correction"] },
    { path: "attributes.guide", op: "eq", value: guide.key },
    ...read.map((path): Filter => ({ path, op: "exists", value: true })),
    { path: guide.value, op: "exists", value: true },
    ...guide.validate,
  ];
}

function meterOf(
  guide: Guide,
  own: Pick<MeterDefinition, "key" | "name" | "match"> & Partial<MeterDefinition>,
): MeterDefinition {
  return {
    unit: null,
    eventType: guide.eventType,
    aggregate: "count",
    value: null,
    groupBy: {},
    missingValue: "hold",
    allowNegative: guide.allowNegative,
    report: false,
    reportAs: own.key,
    ...own,
  };
}
