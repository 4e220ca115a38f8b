import { fieldLabel, type Guide, type GuideRule, ruleLabels } from "../core/guide.ts";
import {
  METER_AGGREGATIONS,
  meterTypeMistakes,
  meterTypeOf,
  type MeterTypeDraft,
  type ThresholdDraft,
} from "../core/meter-type.ts";
import { faultOf } from "./compile-fault.ts";
import { checkMatch, matchFilters } from "./match.ts";
import { checkName, KEY_RULE } from "./name-rules.ts";
import { checkEventPath } from "./path-rules.ts";
import { placeAt, type Place } from "./place.ts";
import { booleanAt, numberAt, scalarsAt, textAt, textsAt } from "./place-values.ts";
import type { CustomerMeterSettings } from "./settings.ts";
import { checkSinks } from "./sink-rules.ts";
import { closestTo } from "./suggestion.ts";

/** Meter types, guides, customers' meters and where final records go; null where the configuration speaks of none. */
export function checkMetering(
  root: Place,
  options: { readonly directory: string; readonly mayHoldKey: boolean },
): CustomerMeterSettings | null {
  const sections = ["meterTypes", "guides", "customerMeters", "records"];
  if (!sections.some((section) => root.has(section))) return null;
  const meterTypes = (root.child("meterTypes")?.children() ?? []).map(checkMeterType);
  const guides = (root.child("guides")?.children() ?? []).map((guide) => checkGuide(guide, meterTypes));
  const buckets = (root.child("customerMeters")?.children() ?? []).map((meter) =>
    checkCustomerMeter(meter, meterTypes, guides),
  );
  return { meterTypes, guides, buckets, ...checkSinks(root.child("records"), options) };
}

function checkMeterType(place: Place): MeterTypeDraft {
  const schedule = place.child("resetSchedule");
  const draft: MeterTypeDraft = {
    name: place.key,
    description: textAt(place, "description"),
    category: textAt(place, "category") ?? "",
    unit: textAt(place, "unit"),
    aggregation: METER_AGGREGATIONS.find((kind) => kind === textAt(place, "aggregation")),
    ...(schedule === null
      ? {}
      : {
          resetSchedule: {
            minute: textAt(schedule, "minute") ?? undefined,
            hour: textAt(schedule, "hour") ?? undefined,
            day: textAt(schedule, "day") ?? undefined,
            month: textAt(schedule, "month") ?? undefined,
            weekday: textAt(schedule, "weekday") ?? undefined,
          },
        }),
    timezone: textAt(place, "timezone") ?? undefined,
    activeFrom: checkInstant(place.child("activeFrom")),
    activeTo: checkInstant(place.child("activeTo")),
    capacity: textAt(place, "capacity"),
    thresholds: (place.child("thresholds")?.children() ?? []).map(thresholdOf),
    externalReference: textAt(place, "externalReference"),
  };
  for (const { pointer, message } of meterTypeMistakes(meterTypeOf(draft))) {
    const steps = pointer.split("/").slice(1);
    const at = steps.reduce<Place | null>(
      (found, step) => found?.child(/^\d+$/.test(step) ? +step : step) ?? null,
      place,
    );
    // What is missing was said with the shape.
    if (at !== null) at.error(message, { showReceived: at.node.kind === "scalar" });
    else if (pointer === "/name") place.error(message, { onKey: true });
  }
  return draft;
}

function thresholdOf(place: Place): ThresholdDraft {
  return {
    name: textAt(place, "name") ?? "",
    capacityPercentage: textAt(place, "capacityPercentage"),
    absoluteValue: textAt(place, "absoluteValue"),
    customFields: scalarsAt(place, "customFields"),
  };
}

const INSTANT = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/;

function checkInstant(place: Place | null): number | null {
  const text = place?.text() ?? null;
  if (place === null || text === null) return null;
  const time = INSTANT.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isSafeInteger(time)) return time;
  place.error("expected an instant such as 2026-01-01T00:00:00Z", { showReceived: true });
  return null;
}

/** Key of guide, rule and aggregation make a meter's key of at most 64 characters. */
const KEY_LENGTH_MAX = 24;

function checkShortKey(place: Place, what: string): void {
  checkName(place, what, KEY_RULE);
  if (place.key.length > KEY_LENGTH_MAX)
    place.error(`${what} has at most ${KEY_LENGTH_MAX} characters`, { onKey: true });
}

function checkGuide(place: Place, types: readonly MeterTypeDraft[]): Guide {
  checkShortKey(place, "a guide's key");
  const paths = ["userId", "value", "timestamp", "dedupeBy"] as const;
  for (const field of paths) checkPath(place.child(field));
  const validate = place.child("validate");
  if (validate !== null) checkMatch(validate, []);
  const rules = place.child("rules")?.children() ?? [];
  if (place.child("rules")?.node.kind === "map" && rules.length === 0)
    place.child("rules")?.error("expected at least one rule", { onKey: true });
  return {
    key: place.key,
    eventType: textAt(place, "eventType") ?? place.key,
    userId: textAt(place, "userId") ?? "data",
    value: textAt(place, "value") ?? "data",
    timestamp: textAt(place, "timestamp"),
    dedupeBy: textAt(place, "dedupeBy"),
    validate: validate === null ? [] : matchFilters(validate),
    rules: rules.map((rule) => checkRule(rule, types)),
    allowNegative: booleanAt(place, "allowNegative") ?? false,
    report: booleanAt(place, "report") ?? false,
    suspendedMax: numberAt(place, "suspendedMax"),
  };
}

function checkRule(place: Place, types: readonly MeterTypeDraft[]): GuideRule {
  checkShortKey(place, "a rule's name");
  const [all, any] = [place.child("when"), place.child("whenAny")];
  for (const match of [all, any]) if (match !== null) checkMatch(match, []);
  if (all !== null && any !== null) any.error("a rule has either when or whenAny", { onKey: true });
  const category = textAt(place, "category") ?? "";
  const first = textAt(place, "createOnFirstUse");
  if (first !== null) checkFirstUse(place.child("createOnFirstUse") ?? place, first, category, types);
  const groupBy = (place.child("groupBy")?.children() ?? []).map((list) => {
    for (const path of list.children()) checkPath(path);
    return list.children().flatMap((path) => path.text() ?? []);
  });
  const fault = faultOf(() => ruleLabels({ groupBy }));
  if (fault !== null) place.child("groupBy")?.error(fault.message);
  for (const field of ["carryFirst", "carryLast"])
    for (const path of place.child(field)?.children() ?? []) checkPath(path);
  return {
    key: place.key,
    when: any === null ? (all === null ? "always" : "all") : "any",
    conditions: any === null ? (all === null ? [] : matchFilters(all)) : matchFilters(any),
    category,
    groupBy,
    carryFirst: textsAt(place, "carryFirst"),
    carryLast: textsAt(place, "carryLast"),
    createOnFirstUse: first,
  };
}

function checkFirstUse(place: Place, name: string, category: string, types: readonly MeterTypeDraft[]): void {
  const type = types.find((each) => each.name === name);
  if (type === undefined)
    place.error(`no meter type ${JSON.stringify(name)}.`, {
      suggestion: closestTo(
        name,
        types.map((each) => each.name),
      ),
    });
  else if (type.category !== category)
    place.error(`${name} is of the category ${type.category}, and the rule is for ${category}`);
}

function checkPath(place: Place | null): void {
  const text = place?.text() ?? "";
  if (place === null || text === "") return;
  checkEventPath(place, text, []);
  if (fieldLabel(text) === "") place.error("expected the path of one field");
}

function checkCustomerMeter(
  place: Place,
  types: readonly MeterTypeDraft[],
  guides: readonly Guide[],
): CustomerMeterSettings["buckets"][number] {
  const [meterType, guide] = [textAt(place, "meterType") ?? "", textAt(place, "guide") ?? ""];
  const known = { meterType: types.map(({ name }) => name), guide: guides.map(({ key }) => key) };
  for (const [field, text] of [
    ["meterType", meterType],
    ["guide", guide],
  ] as const) {
    if (text === "" || known[field].includes(text)) continue;
    placeAt(place, field)?.error(`no ${field === "guide" ? "guide" : "meter type"} ${JSON.stringify(text)}.`, {
      suggestion: closestTo(text, known[field]),
    });
  }
  return {
    userId: textAt(place, "userId") ?? "",
    meterType,
    guide,
    customFields: scalarsAt(place, "customFields"),
    deleteOnReset: booleanAt(place, "deleteOnReset") ?? false,
  };
}
