import type { Catalog } from "../../core/catalog.ts";
import { formatDecimal, isFault, parseDecimal, type Decimal } from "../../core/decimal.ts";
import type { Json } from "../../core/event.ts";
import { compilePath } from "../../core/field-path.ts";
import { fieldLabel, ruleMeter, type Guide, type GuideRule } from "../../core/guide.ts";
import { combinedFigure, type MeterType } from "../../core/meter-type.ts";
import { ownMember, owns } from "../../core/own-member.ts";
import { settle } from "../ingest/amended-event.ts";
import { assertNewest } from "../ingest/catalog-versions.ts";
import { limits } from "../limits.ts";
import type { Store, StoredEvent } from "../ports.ts";
import { queryUsage, type UsageAnswer } from "../usage/usage-query.ts";
import type { BucketBody } from "./buckets.ts";

/** The usage of one value of a breakdown. */
type RecordGroup = {
  /** Field → text. */
  readonly group: { readonly [field: string]: string };
  /** Exact decimal text. */
  readonly value: string;
  readonly records: number;
};

/** What one rule adds to a final record. */
export type RuleUsage = {
  readonly rule: string;
  /** One for each list of fields of the rule, in its order. */
  readonly breakdowns: readonly {
    readonly by: readonly string[];
    readonly values: readonly RecordGroup[];
    readonly isCut: boolean;
  }[];
};

/** A meter's figure over a span, with its breakdowns. */
export interface BucketUsage {
  /** Null where nothing was counted and the aggregate has no figure of nothing. */
  readonly figure: Decimal | null;
  readonly records: number;
  readonly groups: readonly RuleUsage[];
}

/** Rules of a guide that update the meters of a category, or did. */
function rulesFor(guide: Guide, category: string): readonly GuideRule[] {
  const rules = [...guide.rules, ...(ownMember(guide, "formerRules") ?? [])];
  return rules.filter((rule) => rule.category === category);
}

/** The part of a span in which a meter counts: another meter of the category may be active when it is not. */
function activeSpan({ activeFrom, activeTo }: MeterType, from: number, to: number): { from: number; to: number } {
  const begin = Math.max(from, activeFrom ?? from);
  return { from: begin, to: Math.max(begin, Math.min(to, activeTo ?? to)) };
}

/** What a meter counted in a span of its records' time, from the same books as every other figure. METER_METERS_CHANGED. */
export async function bucketUsage(
  store: Store,
  catalog: Catalog,
  { guide, bucket, from, to }: { guide: Guide; bucket: BucketBody; from: number; to: number },
): Promise<BucketUsage> {
  const { aggregation } = bucket.type;
  const span = activeSpan(bucket.type, from, to);
  const figures: (Decimal | null)[] = [];
  const groups: RuleUsage[] = [];
  let records = 0;
  for (const rule of rulesFor(guide, bucket.type.category)) {
    const meter = ruleMeter(guide.key, rule.key, aggregation);
    const definition = catalog.meters.find(({ key }) => key === meter);
    if (definition === undefined) {
      // Its rule came after its type was changed; or the catalog is older than the meter, and would count too little.
      await assertNewest(store, catalog);
      continue;
    }
    const groupBy = Object.keys(definition.groupBy);
    const question = { meter, company: bucket.userId, ...span, window: null, groupBy };
    const rows = span.from === span.to ? [] : await queryUsage(store, catalog, question);
    figures.push(combinedFigure(aggregation, rows.map(figureOf)));
    records += rows.reduce((sum, { events }) => sum + events, 0);
    const breakdowns = rule.groupBy.map((paths) => breakdown(paths, rows, aggregation));
    groups.push({ rule: rule.key, breakdowns });
  }
  return { figure: combinedFigure(aggregation, figures), records, groups };
}

function breakdown(
  paths: readonly string[],
  rows: readonly UsageAnswer[],
  aggregation: BucketBody["type"]["aggregation"],
): RuleUsage["breakdowns"][number] {
  const labels = paths.map(fieldLabel);
  const merged = new Map<string, { group: Record<string, string>; figures: (Decimal | null)[]; records: number }>();
  for (const row of rows) {
    const texts = labels.map((label) => (owns(row.group, label) ? row.group[label] : undefined) ?? "");
    const key = JSON.stringify(texts);
    const known = merged.get(key) ?? {
      group: Object.fromEntries(labels.map((label, at) => [label, texts[at] ?? ""])),
      figures: [],
      records: 0,
    };
    known.figures.push(figureOf(row));
    known.records += row.events;
    merged.set(key, known);
  }
  const values = [...merged]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { group, figures, records }]) => ({
      group,
      value: formatDecimal(combinedFigure(aggregation, figures) ?? 0n),
      records,
    }));
  return { by: labels, values: values.slice(0, limits.recordGroupsMax), isCut: values.length > limits.recordGroupsMax };
}

function figureOf({ value }: UsageAnswer): Decimal | null {
  const figure = value === null ? null : parseDecimal(value);
  return figure === null || isFault(figure) ? null : figure;
}

/** Field → value, as the record had it. */
export type Carried = { readonly [field: string]: Json };

/**
 * The fields that a final record carries of the first and the last record that the meter counted, as they arrived. A field
 * that the record does not have, or whose records are deleted by now, is null.
 */
export async function carriedFields(
  store: Store,
  catalog: Catalog,
  { guide, bucket, from, to }: { guide: Guide; bucket: BucketBody; from: number; to: number },
): Promise<{ readonly carryFirst: Carried; readonly carryLast: Carried }> {
  const rules = rulesFor(guide, bucket.type.category);
  const firsts = new Map(rules.map((rule) => [ruleMeter(guide.key, rule.key, bucket.type.aggregation), rule]));
  const span = { type: guide.eventType, company: bucket.userId, ...activeSpan(bucket.type, from, to) };
  const find = async (order: "oldest" | "newest", fields: (rule: GuideRule) => readonly string[]): Promise<Carried> => {
    const wanted = [...firsts].filter(([, rule]) => fields(rule).length > 0);
    const carried: Record<string, Json> = {};
    for (const [meter, rule] of wanted) {
      const event = await counted(store, catalog, meter, { ...span, order });
      for (const path of fields(rule)) {
        const found = event === null ? undefined : compilePath(path).read(event.event);
        carried[fieldLabel(path)] = jsonOf(found);
      }
    }
    return carried;
  };
  return {
    carryFirst: await find("oldest", (rule) => rule.carryFirst),
    carryLast: await find("newest", (rule) => rule.carryLast),
  };
}

/** The first event in an order that a meter counts. */
async function counted(
  store: Store,
  catalog: Catalog,
  meter: string,
  query: { type: string; company: string; from: number; to: number; order: "oldest" | "newest" },
): Promise<StoredEvent | null> {
  let place: { afterSeq?: number; beforeSeq?: number } = {};
  for (let read = 0; read < limits.carryRecordsMax;) {
    const page = await store.events({ ...query, ...place, limit: PAGE });
    for (const stored of page) {
      const isCounted = settle(catalog, stored).verdicts.some(
        (verdict) => verdict.meter === meter && verdict.kind === "counted",
      );
      if (isCounted) return stored;
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return null;
    place = query.order === "oldest" ? { afterSeq: last.seq } : { beforeSeq: last.seq };
    read += page.length;
  }
  return null;
}

const PAGE = 100;

function jsonOf(found: unknown): Json {
  const json: Json = found === undefined ? null : JSON.parse(JSON.stringify(found));
  return json;
}
