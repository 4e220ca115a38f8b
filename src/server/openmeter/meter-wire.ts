import { z } from "zod";

import type { AggregateKind } from "../../core/aggregation.ts";
import { owns } from "../../core/own-member.ts";
import type { MeterDraft, MeterPatch, MeterView } from "../../engine/meters/meter-view.ts";
import { instant, rfc3339 } from "./instant.ts";
import { fieldPathOf, jsonPathOf } from "./value-path.ts";
import { pointerStep, refusal, type Mistake, type WireNames } from "./wire-mistakes.ts";

/** OpenMeter's names of aggregations; v3 writes them in lower case. */
export const AGGREGATIONS = ["SUM", "COUNT", "AVG", "MIN", "MAX", "UNIQUE_COUNT", "LATEST"] as const;
export type Aggregation = (typeof AGGREGATIONS)[number];

const KINDS: Readonly<Record<Aggregation, AggregateKind>> = {
  SUM: "sum",
  COUNT: "count",
  AVG: "avg",
  MIN: "min",
  MAX: "max",
  UNIQUE_COUNT: "unique",
  LATEST: "latest",
};
const NAMES: Readonly<Record<AggregateKind, Aggregation>> = {
  sum: "SUM",
  count: "COUNT",
  avg: "AVG",
  min: "MIN",
  max: "MAX",
  unique: "UNIQUE_COUNT",
  latest: "LATEST",
};

/** What v1 calls the members of a meter. */
export const METER_NAMES: WireNames = { key: "slug", aggregate: "aggregation", value: "valueProperty" };

const described = {
  name: z.string().min(1).max(256).optional(),
  description: z.string().max(1024).nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  groupBy: z.record(z.string(), z.string()).optional(),
};

/** The body that creates a meter over v1. */
export const meterCreate = z.object({
  ...described,
  slug: z.string(),
  eventType: z.string(),
  aggregation: z.enum(AGGREGATIONS),
  eventFrom: instant.nullish(),
  valueProperty: z.string().nullish(),
});
export type MeterCreate = z.output<typeof meterCreate>;

/** The body that changes a meter over v1. What is left out stays as it is. */
export const meterUpdate = z.object(described);
export type MeterUpdate = z.output<typeof meterUpdate>;

/** A meter as v1 shows it. */
export const meterShown = z.object({
  id: z.string(),
  slug: z.string(),
  name: z.string(),
  description: z.string().optional(),
  metadata: z.record(z.string(), z.unknown()),
  aggregation: z.enum(AGGREGATIONS),
  eventType: z.string(),
  eventFrom: z.iso.datetime().optional(),
  valueProperty: z.string().optional(),
  groupBy: z.record(z.string(), z.string()),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  deletedAt: z.iso.datetime().optional(),
});
export type MeterShown = z.output<typeof meterShown>;

/**
 * The meter that a call describes. OpenMeter's rules: a value that is no number is skipped, a negative one counts.
 * `names` is what the wire calls the members. Throws METER_REQUEST_INVALID.
 */
export function meterDraft(asked: MeterCreate, names: WireNames = METER_NAMES): MeterDraft {
  const { slug, name, description, metadata, eventType, aggregation, eventFrom, valueProperty, groupBy } = asked;
  const mistakes: Mistake[] = [];
  const value = valuePath(aggregation, valueProperty ?? null, `/${names["value"]}`, mistakes);
  const labels = labelPaths(groupBy ?? {}, `/${names["groupBy"] ?? "groupBy"}`, mistakes);
  if (mistakes.length > 0) throw refusal(mistakes);
  return {
    key: slug,
    eventType,
    aggregate: KINDS[aggregation],
    value,
    groupBy: labels,
    missingValue: "skip",
    allowNegative: true,
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
    ...(eventFrom === undefined ? {} : { eventFrom }),
    ...(metadata === undefined ? {} : { metadata: metadata ?? {} }),
  };
}

/** What a call changes of a meter. Throws METER_REQUEST_INVALID. */
export function meterPatch(asked: MeterUpdate, names: WireNames = METER_NAMES): MeterPatch {
  const { name, description, metadata, groupBy } = asked;
  const mistakes: Mistake[] = [];
  const labels = groupBy === undefined ? null : labelPaths(groupBy, `/${names["groupBy"] ?? "groupBy"}`, mistakes);
  if (mistakes.length > 0) throw refusal(mistakes);
  return {
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
    ...(metadata === undefined ? {} : { metadata: metadata ?? {} }),
    ...(labels === null ? {} : { groupBy: labels }),
  };
}

/**
 * A meter in v1's words. What only meterbook's own meters have is shown as it is: paths that do not start at the payload,
 * `*` for any type of event.
 */
export function shownMeter(meter: MeterView): MeterShown {
  const groupBy = Object.entries(meter.groupBy).map(([label, path]) => [label, jsonPathOf(path)] as const);
  return {
    id: meter.id,
    slug: meter.key,
    name: meter.name,
    ...(meter.description === null ? {} : { description: meter.description }),
    metadata: meter.metadata,
    aggregation: NAMES[meter.aggregate],
    eventType: meter.eventType ?? "*",
    ...(meter.eventFrom === null ? {} : { eventFrom: rfc3339(meter.eventFrom) }),
    ...(meter.value === null ? {} : { valueProperty: jsonPathOf(meter.value) }),
    groupBy: Object.fromEntries(groupBy),
    createdAt: rfc3339(meter.createdAt),
    updatedAt: rfc3339(meter.updatedAt),
    ...(meter.deletedAt === null ? {} : { deletedAt: rfc3339(meter.deletedAt) }),
  };
}

function valuePath(aggregation: Aggregation, sent: string | null, pointer: string, mistakes: Mistake[]): string | null {
  if (aggregation === "COUNT") {
    if (sent !== null) mistakes.push({ pointer, message: "COUNT counts events, so it has no value" });
    return null;
  }
  if (sent === null) {
    mistakes.push({ pointer, message: `${aggregation} needs the path of its value, such as $.tokens` });
    return null;
  }
  return readPath(sent, pointer, mistakes);
}

function labelPaths(
  sent: Readonly<Record<string, string>>,
  pointer: string,
  mistakes: Mistake[],
): Readonly<Record<string, string>> {
  const read = Object.entries(sent).map(
    ([label, path]) => [label, readPath(path, `${pointer}/${pointerStep(label)}`, mistakes)] as const,
  );
  return Object.fromEntries(read);
}

function readPath(sent: string, pointer: string, mistakes: Mistake[]): string {
  const read = fieldPathOf(sent);
  if (owns(read, "path")) return read.path;
  mistakes.push({ pointer, message: read.problem });
  return sent;
}
