import { AGGREGATE_KINDS, isAdditive, type AggregateKind } from "../core/aggregation.ts";
import { EVENT_TIME_WINDOWS, LATE_POLICIES, type MeterDefinition, type MissingValue } from "../core/meter.ts";
import { checkExpression } from "./field-rules.ts";
import { checkMatch, matchFilters } from "./match.ts";
import { checkName, KEY_RULE, NAME_RULE } from "./name-rules.ts";
import { checkEventPath } from "./path-rules.ts";
import type { Place } from "./place.ts";
import { pathText } from "./source.ts";

/** Characters of a Stripe event_name (https://docs.stripe.com/api/billing/meter/create). */
const REPORT_NAME_LENGTH_MAX = 100;

/** All meters, in the order of the file. */
export function checkMeters(root: Place, fieldNames: readonly string[]): readonly MeterDefinition[] {
  const meters = root.child("meters");
  const places = meters?.children() ?? [];
  if (meters?.node.kind === "map" && places.length === 0 && !root.has("guides"))
    meters.warn("there are no meters: events are kept, nothing is counted", { onKey: true });
  const definitions = places.map((meter) => checkMeter(meter, fieldNames));
  checkReportNames(places, definitions);
  return definitions;
}

function checkMeter(meter: Place, fieldNames: readonly string[]): MeterDefinition {
  checkName(meter, "a meter's key", KEY_RULE);
  const aggregate = AGGREGATE_KINDS.find((kind) => kind === textAt(meter, "aggregate")) ?? null;
  const value = checkValue(meter, aggregate, fieldNames);
  const match = meter.child("match");
  if (match !== null) checkMatch(match, fieldNames);
  const where = textAt(meter, "where");
  if (where !== null) checkExpression(childOrSelf(meter, "where"), where, "condition", fieldNames);
  return {
    key: meter.key,
    name: textAt(meter, "name") ?? meter.key,
    unit: textAt(meter, "unit"),
    eventType: textAt(meter, "eventType"),
    match: [...(match === null ? [] : matchFilters(match)), ...(where === null ? [] : [{ cel: where }])],
    aggregate: aggregate ?? "count",
    value,
    groupBy: checkGroupBy(meter, fieldNames),
    missingValue: missingValueOf(textAt(meter, "missingValue")),
    allowNegative: booleanAt(meter, "allowNegative") ?? false,
    report: checkReport(meter, aggregate),
    reportAs: textAt(meter, "reportAs") ?? meter.key,
    ...checkBilling(meter, aggregate),
  };
}

/** What only matters to a biller; where it is not said, the definition does not have it. */
function checkBilling(
  meter: Place,
  aggregate: AggregateKind | null,
): Pick<MeterDefinition, "late" | "eventTimeWindow"> {
  const isReported = aggregate === null || (isAdditive(aggregate) && booleanAt(meter, "report") !== false);
  for (const key of ["late", "eventTimeWindow"]) {
    if (!isReported) meter.child(key)?.warn("this meter is not reported, so this has no effect", { onKey: true });
  }
  const late = LATE_POLICIES.find((policy) => policy === textAt(meter, "late"));
  const eventTimeWindow = EVENT_TIME_WINDOWS.find((window) => window === textAt(meter, "eventTimeWindow"));
  return { ...(late === undefined ? {} : { late }), ...(eventTimeWindow === undefined ? {} : { eventTimeWindow }) };
}

function checkValue(meter: Place, aggregate: AggregateKind | null, fieldNames: readonly string[]): string | null {
  const place = meter.child("value");
  if (place === null) {
    if (aggregate !== null && aggregate !== "count" && meter.node.kind === "map") {
      const message = `the key "value" is missing in ${pathText(meter.path)}; ${aggregate} needs the field path of its value`;
      meter.error(message, { onKey: true, kind: "key" });
    }
    return null;
  }
  if (aggregate === "count")
    place.error("count counts events and has no value; leave it out, or write aggregate: sum", { onKey: true });
  const text = place.text();
  if (text === null || text === "") return null;
  checkEventPath(place, text, fieldNames);
  return text;
}

function checkGroupBy(meter: Place, fieldNames: readonly string[]): Readonly<Record<string, string>> {
  const groupBy: Record<string, string> = {};
  const place = meter.child("groupBy");
  if (place?.node.kind !== "map") return groupBy;
  for (const label of place.children()) {
    checkName(label, "a label", NAME_RULE);
    const text = label.text();
    if (text === null || text === "") continue;
    checkEventPath(label, text, fieldNames);
    groupBy[label.key] = text;
  }
  return groupBy;
}

/** Only figures whose windows add up to the period's can be reported to a biller that sums. */
function checkReport(meter: Place, aggregate: AggregateKind | null): boolean {
  const canBeReported = aggregate !== null && isAdditive(aggregate);
  const said = booleanAt(meter, "report");
  if (said === true && aggregate !== null && !canBeReported) {
    meter.child("report")?.error(`a ${aggregate} cannot be reported: only count and sum of several windows add up`);
  }
  return said ?? canBeReported;
}

/** Two meters under one name would be added up by the biller. */
function checkReportNames(places: readonly Place[], definitions: readonly MeterDefinition[]): void {
  const owners = new Map<string, string>();
  for (const [index, { key, report, reportAs }] of definitions.entries()) {
    const place = places[index]?.child("reportAs") ?? places[index];
    if (place === undefined || !report) continue;
    const owner = owners.get(reportAs);
    if (owner !== undefined)
      place.error(
        `the meter ${owner} is reported as ${JSON.stringify(reportAs)} already; the biller would add them up`,
      );
    else if (reportAs.length > REPORT_NAME_LENGTH_MAX)
      place.error(`a biller's name has at most ${REPORT_NAME_LENGTH_MAX} characters`);
    owners.set(reportAs, owner ?? key);
  }
}

function missingValueOf(text: string | null): MissingValue {
  return text === "zero" || text === "skip" ? text : "hold";
}

function childOrSelf(place: Place, key: string): Place {
  return place.child(key) ?? place;
}

function textAt(place: Place, key: string): string | null {
  return place.child(key)?.text() ?? null;
}

function booleanAt(place: Place, key: string): boolean | null {
  const node = place.child(key)?.node;
  return node?.kind === "scalar" && typeof node.value === "boolean" ? node.value : null;
}
