import { z } from "zod";

import type { MeterDraft, MeterPatch, MeterView } from "../../engine/meters/meter-view.ts";
import { instant } from "./instant.ts";
import { AGGREGATIONS, meterDraft, meterPatch, shownMeter, type Aggregation } from "./meter-wire.ts";
import type { WireNames } from "./wire-mistakes.ts";

/** What v3 calls the members of a meter. */
export const V3_METER_NAMES: WireNames = {
  aggregate: "aggregation",
  value: "value_property",
  eventType: "event_type",
  eventFrom: "events_from",
  groupBy: "dimensions",
  metadata: "labels",
};

const SMALL: Readonly<Record<Aggregation, Lowercase<Aggregation>>> = {
  SUM: "sum",
  COUNT: "count",
  AVG: "avg",
  MIN: "min",
  MAX: "max",
  UNIQUE_COUNT: "unique_count",
  LATEST: "latest",
};

const described = {
  name: z.string().min(1).max(256).optional(),
  description: z.string().max(1024).nullish(),
  labels: z.record(z.string(), z.string()).nullish(),
  dimensions: z.record(z.string(), z.string()).optional(),
};

/** The body that creates a meter over v3. */
export const v3MeterCreate = z.object({
  ...described,
  key: z.string(),
  aggregation: z.enum(Object.values(SMALL)),
  event_type: z.string(),
  events_from: instant.nullish(),
  value_property: z.string().nullish(),
});

/** The body that changes a meter over v3. What is left out stays as it is. */
export const v3MeterUpdate = z.object(described);

/** A meter as v3 shows it. */
export const v3MeterShown = z.object({
  id: z.string(),
  key: z.string(),
  name: z.string(),
  description: z.string().optional(),
  labels: z.record(z.string(), z.unknown()),
  aggregation: z.enum(Object.values(SMALL)),
  event_type: z.string(),
  events_from: z.iso.datetime().optional(),
  value_property: z.string().optional(),
  dimensions: z.record(z.string(), z.string()),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
  deleted_at: z.iso.datetime().optional(),
});

/** The meter that a v3 call describes. Throws METER_REQUEST_INVALID. */
export function v3MeterDraft(sent: z.output<typeof v3MeterCreate>): MeterDraft {
  const { key, name, description, labels, aggregation, event_type, events_from, value_property, dimensions } = sent;
  const known = AGGREGATIONS.find((each) => SMALL[each] === aggregation) ?? "COUNT";
  const asked = {
    slug: key,
    name,
    description,
    metadata: labels,
    aggregation: known,
    eventType: event_type,
    eventFrom: events_from,
    valueProperty: value_property,
    groupBy: dimensions,
  };
  return meterDraft(asked, V3_METER_NAMES);
}

/** What a v3 call changes of a meter. Throws METER_REQUEST_INVALID. */
export function v3MeterPatch(sent: z.output<typeof v3MeterUpdate>): MeterPatch {
  const { name, description, labels, dimensions } = sent;
  return meterPatch({ name, description, metadata: labels, groupBy: dimensions }, V3_METER_NAMES);
}

/** A meter in v3's words. */
export function v3ShownMeter(meter: MeterView): z.output<typeof v3MeterShown> {
  const { id, slug, name, description, metadata, aggregation, eventType, eventFrom, valueProperty, groupBy, ...times } =
    shownMeter(meter);
  return {
    id,
    key: slug,
    name,
    ...(description === undefined ? {} : { description }),
    labels: metadata,
    aggregation: SMALL[aggregation],
    event_type: eventType,
    ...(eventFrom === undefined ? {} : { events_from: eventFrom }),
    ...(valueProperty === undefined ? {} : { value_property: valueProperty }),
    dimensions: groupBy,
    created_at: times.createdAt,
    updated_at: times.updatedAt,
    ...(times.deletedAt === undefined ? {} : { deleted_at: times.deletedAt }),
  };
}
