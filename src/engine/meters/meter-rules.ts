import { isAdditive } from "../../core/aggregation.ts";
import { isMeterbookError } from "../../core/errors.ts";
import { EVENT_ROOTS } from "../../core/event-roots.ts";
import { compilePath, pathText } from "../../core/field-path.ts";
import { compileFilter, filterReads, type Filter } from "../../core/filter.ts";
import type { MeterDefinition } from "../../core/meter.ts";
import { ownMembers } from "../../core/own-member.ts";
import { limits } from "../limits.ts";
import {
  assertNoMistakes,
  identifierMistakes,
  lengthMistakes,
  memberMistakes,
  type Mistake,
} from "../registry/refusals.ts";
import { FIRST_INSTANT, LAST_INSTANT } from "./meter-life.ts";
import type { MeterDraft, MeterPatch } from "./meter-view.ts";

/** What a draft defines. METER_REQUEST_INVALID with all its mistakes. */
export function definitionOf(draft: MeterDraft): MeterDefinition {
  const own = ownMembers(draft);
  const { key, eventType, aggregate, match = [], value = null, groupBy = {}, report = false } = own;
  assertNoMistakes("The meter has a mistake", [
    ...keyMistakes(key),
    ...textMistakes(own),
    ...lengthMistakes("/unit", own.unit, limits.entryNameLengthMax),
    ...typeMistakes(eventType),
    ...match.flatMap((filter, at) => filterMistakes(`/match/${at}`, filter)),
    ...valueMistakes(aggregate, value),
    ...labelMistakes(groupBy, value),
    ...instantMistakes(own.eventFrom ?? null),
    ...(report && !isAdditive(aggregate)
      ? [{ pointer: "/report", message: `a ${aggregate} cannot be reported: only count and sum of windows add up` }]
      : []),
  ]);
  return {
    key,
    name: own.name ?? key,
    unit: own.unit ?? null,
    eventType,
    match,
    aggregate,
    value,
    groupBy: { ...groupBy },
    missingValue: own.missingValue ?? "skip",
    allowNegative: own.allowNegative ?? true,
    report,
    reportAs: key,
  };
}

/** METER_REQUEST_INVALID with all mistakes of a change to a meter that takes this value. */
export function assertPatch(patch: MeterPatch, value: string | null): void {
  const { groupBy, ...texts } = ownMembers(patch);
  assertNoMistakes("The change of the meter has a mistake", [
    ...textMistakes(texts),
    ...(groupBy === undefined ? [] : labelMistakes(groupBy, value)),
  ]);
}

function textMistakes({ name, description, metadata }: MeterPatch): readonly Mistake[] {
  return [
    ...(name === "" ? [{ pointer: "/name", message: "is empty" }] : []),
    ...lengthMistakes("/name", name, limits.entryNameLengthMax),
    ...lengthMistakes("/description", description, limits.entryTextLengthMax),
    ...memberMistakes("/metadata", metadata),
  ];
}

const KEY_LENGTH_MAX = 64;

function keyMistakes(key: string): readonly Mistake[] {
  const mistakes = [...lengthMistakes("/key", key, KEY_LENGTH_MAX)];
  if (!/^[a-z0-9]+(?:_[a-z0-9]+)*$/.test(key))
    mistakes.push({ pointer: "/key", message: "is lower-case letters, digits and single underscores between them" });
  return mistakes;
}

function typeMistakes(eventType: string): readonly Mistake[] {
  const reserved = ["om.", "_."].find((prefix) => eventType.startsWith(prefix));
  if (reserved === undefined) return identifierMistakes("/eventType", eventType);
  return [{ pointer: "/eventType", message: `begins with ${JSON.stringify(reserved)}, which is reserved` }];
}

function valueMistakes(aggregate: MeterDefinition["aggregate"], value: string | null): readonly Mistake[] {
  if (aggregate === "count")
    return value === null ? [] : [{ pointer: "/value", message: "count counts events and has no value" }];
  if (value === null) return [{ pointer: "/value", message: `is missing; ${aggregate} needs the path of its value` }];
  return pathMistakes("/value", value);
}

/** Names that mean something else in a question. */
const TAKEN_LABELS: readonly string[] = ["subject", "customer", "customer_id"];

function labelMistakes(groupBy: Readonly<Record<string, string>>, value: string | null): readonly Mistake[] {
  const labels = Object.entries(groupBy);
  if (labels.length > limits.meterLabelsMax)
    return [{ pointer: "/groupBy", message: `a meter has at most ${limits.meterLabelsMax} labels` }];
  return labels.flatMap(([label, path]) => {
    const pointer = `/groupBy/${label.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    if (label.length > KEY_LENGTH_MAX || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(label))
      return [{ pointer, message: `a label is letters, digits and underscores, at most ${KEY_LENGTH_MAX}` }];
    if (TAKEN_LABELS.includes(label))
      return [{ pointer, message: "every meter can be grouped by it already; choose another name" }];
    const mistakes = pathMistakes(pointer, path);
    if (mistakes.length > 0) return mistakes;
    const isValue = value !== null && pathMistakes("", value).length === 0 && samePath(path, value);
    return isValue ? [{ pointer, message: "is the path of the meter's value" }] : [];
  });
}

function filterMistakes(pointer: string, filter: Filter): readonly Mistake[] {
  const fault = faultOf(() => compileFilter(filter));
  if (fault !== null) return [{ pointer, message: fault }];
  return filterReads(filter).paths.flatMap((path) => pathMistakes(pointer, path));
}

/** What is wrong with a path over an event, if anything. */
function pathMistakes(pointer: string, text: string): readonly Mistake[] {
  const fault = faultOf(() => compilePath(text));
  if (fault !== null) return [{ pointer, message: fault }];
  const [root = "", member] = compilePath(text).scope;
  if (root === "" && text.startsWith("$")) return [];
  if (root === "fields") return [{ pointer, message: "computed fields belong to the configuration file" }];
  const members = EVENT_ROOTS.get(root);
  const roots = [...EVENT_ROOTS.keys()].filter((name) => name !== "fields" && name !== "action");
  if (members === undefined)
    return [{ pointer, message: `no event has ${JSON.stringify(root)}; a path begins with ${roots.join(", ")}` }];
  if (member === undefined || members === "any") return [];
  if (members === "none") return [{ pointer, message: `${root} is a single value; nothing stands below it` }];
  if (members.includes(member)) return [];
  return [{ pointer, message: `${root} has no ${JSON.stringify(member)}; it has ${members.join(", ")}` }];
}

function samePath(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => {
    const { segments } = compilePath(text);
    return segments === null ? text : pathText(segments);
  });
  return left === right;
}

function instantMistakes(eventFrom: number | null): readonly Mistake[] {
  if (eventFrom === null) return [];
  const isInstant = Number.isSafeInteger(eventFrom) && eventFrom >= FIRST_INSTANT && eventFrom < LAST_INSTANT;
  return isInstant ? [] : [{ pointer: "/eventFrom", message: "is no instant" }];
}

/** Why something cannot be compiled; null when it can. */
function faultOf(compile: () => unknown): string | null {
  try {
    compile();
    return null;
  } catch (error) {
    if (isMeterbookError(error)) return error.message;
    throw error;
  }
}
