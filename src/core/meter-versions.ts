import { compileExpression } from "./expression.ts";
import { compilePath } from "./field-path.ts";
import { filterReads } from "./filter.ts";
import { canonicalFilter } from "./match-line.ts";
import type { MeterDefinition, MeterOrigin, MeterVersion, UnknownIdentity } from "./meter.ts";
import { ownMembers } from "./own-member.ts";

/** What a configuration says of counting. */
export interface WantedMeters {
  readonly meters: readonly MeterDefinition[];
  /** Computed fields: name → CEL expression. */
  readonly fields: Readonly<Record<string, string>>;
  readonly unknownIdentity: UnknownIdentity;
}

/** What a changed configuration asks of the stored meter versions. */
export interface VersionChange {
  /** Versions to store. */
  readonly add: readonly MeterVersion[];
  /** Meters whose aggregate differs from the stored one. They are not changed: figures of two aggregates cannot be added. */
  readonly aggregateChanged: readonly string[];
  /** Wanted meters that a living meter of the API, or of a guide, stands in the way of: it has the key, or the biller's name. */
  readonly ofApi: readonly { readonly key: string; readonly api: string; readonly origin: MeterOrigin }[];
}

/**
 * Compares the wanted meters with the stored versions. Whatever differs makes a version that counts from `now` on, so
 * that the past is neither re-billed nor judged anew: the definition, the computed fields that it reads, what becomes of
 * usage of nobody. A stored meter that is not wanted any more gets a version that has ended; wanted again, it goes on
 * with a version from then on. Meters of the API and of guides are left alone. The first version of a meter counts from 0 when the store is empty, else from `now`.
 * `now` is in milliseconds UTC; a clock that went back never reorders versions.
 */
export function nextVersions(
  stored: readonly MeterVersion[],
  wanted: WantedMeters,
  now: number,
  storeIsEmpty: boolean,
): VersionChange {
  const latest = latestVersions(stored);
  const living = [...latest.values()].filter(({ origin, ended }) => origin !== undefined && ended !== true);
  const add: MeterVersion[] = [];
  const aggregateChanged: string[] = [];
  const ofApi: { key: string; api: string; origin: MeterOrigin }[] = [];
  for (const definition of wanted.meters) {
    const before = latest.get(definition.key);
    latest.delete(definition.key);
    const rival = living.find((version) => standsInTheWay(version.definition, definition));
    if (rival !== undefined) {
      ofApi.push({ key: definition.key, api: rival.definition.key, origin: rival.origin ?? "api" });
      continue;
    }
    const fields = fieldsReadBy(definition, wanted.fields);
    const next = { definition, fields, unknownIdentity: wanted.unknownIdentity };
    if (before === undefined) add.push({ ...next, version: 1, effectiveFrom: storeIsEmpty ? 0 : now });
    else if (before.definition.aggregate !== definition.aggregate) aggregateChanged.push(definition.key);
    else if (substance(before) !== substance(next)) add.push({ ...next, ...successor(before, now) });
  }
  for (const before of latest.values()) {
    if (before.ended === true || before.origin !== undefined) continue;
    const { replayed: _replayed, ...last } = before;
    add.push({ ...last, ended: true, ...successor(before, now) });
  }
  return { add, aggregateChanged, ofApi };
}

// The biller would add up two meters under one name.
function standsInTheWay(api: MeterDefinition, wanted: MeterDefinition): boolean {
  return api.key === wanted.key || (api.report && wanted.report && api.reportAs === wanted.reportAs);
}

/** The newest version of each meter, in the order in which the meters were first stored. */
function latestVersions(versions: readonly MeterVersion[]): Map<string, MeterVersion> {
  const latest = new Map<string, MeterVersion>();
  for (const version of versions.map(ownMembers)) {
    const known = latest.get(version.definition.key);
    if (known === undefined || known.version < version.version) latest.set(version.definition.key, version);
  }
  return latest;
}

/** The computed fields that a meter reads; all of them where an expression takes `fields` as a whole. */
function fieldsReadBy(
  definition: MeterDefinition,
  fields: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const names = fieldNames(definition);
  const entries = Object.entries(fields).filter(([name]) => names === "all" || names.has(name));
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Whether one of a meter's expressions takes `fields` as a whole, so that every field decides. */
export function readsAllFields(definition: MeterDefinition): boolean {
  return fieldNames(definition) === "all";
}

function fieldNames(definition: MeterDefinition): ReadonlySet<string> | "all" {
  const lines = definition.match.map(filterReads);
  const paths = [
    ...(definition.value === null ? [] : [definition.value]),
    ...Object.values(definition.groupBy),
    ...lines.flatMap((line) => line.paths),
  ];
  const expressions = lines.flatMap((line) => line.expressions);
  const reads = expressions.flatMap((text) => compileExpression(text, "condition").reads);
  const names = new Set<string>();
  for (const text of [...paths, ...reads]) {
    const [root, name] = compilePath(text).scope;
    if (root !== "fields") continue;
    if (name === undefined) return "all";
    names.add(name);
  }
  return names;
}

function successor(before: MeterVersion, now: number): Pick<MeterVersion, "version" | "effectiveFrom"> {
  return {
    version: before.version + 1,
    effectiveFrom: now > before.effectiveFrom ? now : before.effectiveFrom + 1,
  };
}

// The order of lines and labels decides nothing.
function substance(version: Omit<MeterVersion, "version" | "effectiveFrom">): string {
  const { definition, fields = {}, unknownIdentity = "hold", ended = false } = ownMembers(version);
  const { late = "hold", eventTimeWindow = null } = ownMembers(definition);
  return JSON.stringify([
    definition.name,
    definition.unit,
    definition.eventType,
    definition.match.map(canonicalFilter).toSorted(),
    definition.value,
    Object.entries(definition.groupBy).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    definition.missingValue,
    definition.allowNegative,
    definition.report,
    definition.reportAs,
    Object.entries(fields).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    unknownIdentity,
    ended,
    late,
    eventTimeWindow,
  ]);
}
