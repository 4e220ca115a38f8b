import type { AggregateKind } from "./aggregation.ts";
import type { UsageEvent } from "./event.ts";
import { fieldReaders } from "./field-readers.ts";
import { buildIndex } from "./match-index.ts";
import { compilePlan, decide } from "./matcher.ts";
import type { MatchRules, Plan } from "./matcher.ts";
import { versionSpans, type VersionSpan } from "./meter-timeline.ts";
import type { MeterDefinition, MeterVersion, UnknownIdentity } from "./meter.ts";
import { ownMembers } from "./own-member.ts";
import type { Verdict } from "./verdict.ts";

export { nextVersions } from "./meter-versions.ts";
export type { VersionChange, WantedMeters } from "./meter-versions.ts";

/** What a catalog is compiled from. */
export interface CatalogSource {
  readonly versions: readonly MeterVersion[];
  /** Computed fields of versions that carry none of their own: name → CEL expression. */
  readonly fields: Readonly<Record<string, string>>;
  /** For versions that do not say it themselves. */
  readonly unknownIdentity: UnknownIdentity;
  /** How many versions the store had when these were read; null, and where left out, when they are not the store's. */
  readonly revision?: number | null;
  /** Bounds; where left out, labels of 200 characters and five minutes of future. */
  readonly limits?: { readonly groupLabelLengthMax?: number; readonly futureMs?: number };
}

/** All meters, compiled. `judge` and `explain` run the same lines, so an explanation cannot differ from the count. */
export interface Catalog {
  /** The counted and held verdicts of an event, in the order of the meters. Its cost does not grow with their number. */
  judge(event: UsageEvent): readonly Verdict[];
  /** One verdict per meter that has a version effective at the event's time; skipped ones name the first failing line. */
  explain(event: UsageEvent): readonly Verdict[];
  /** The latest version of each meter, meters that have ended included: their usage is still to be explained and reported. */
  readonly meters: readonly MeterDefinition[];
  /** Which state of the store's versions it judges by; null when it was not made from them. */
  readonly revision: number | null;
  /** Null for a meter that is not in the catalog. */
  aggregateOf(meter: string): AggregateKind | null;
  /** Whether some meter is for events of this type at an instant of event time, whatever else it asks of them. */
  isMetered(type: string, time: number): boolean;
  /** The meter as it counts at an instant of event time, milliseconds UTC; null when it counts nothing then. */
  definitionAt(meter: string, time: number): MeterDefinition | null;
}

/** Compiles meters and fields. Throws PathError, FilterError or ExpressionError for what cannot be compiled. */
export function compileCatalog(source: CatalogSource): Catalog {
  const { limits = {}, revision = null } = ownMembers(source);
  const { groupLabelLengthMax = 200, futureMs = 5 * 60_000 } = ownMembers(limits);
  const rules: MatchRules = { unknownIdentity: source.unknownIdentity, groupLabelLengthMax, futureMs };
  const histories = historiesOf(source.versions.map(ownMembers));
  const spans = [...histories.values()].flatMap((history) =>
    versionSpans(history).filter(({ version }) => version.ended !== true),
  );
  const readers = fieldReaders(latestFirst(spans), source.fields);
  const plans = spans.map(({ version, until }, order) => {
    const { reader, book } = readers.of(version);
    const own = { ...rules, unknownIdentity: version.unknownIdentity ?? rules.unknownIdentity };
    return compilePlan(version, until, order, book, reader, own);
  });
  const { leader } = readers;
  const index = buildIndex(plans, leader);
  const decided = (plan: Plan, why: boolean): Verdict | null => {
    if (!isEffective(plan, leader.event.time)) return null;
    plan.reader.follow(leader);
    return decide(plan, why);
  };
  const meters = [...histories.values()].flatMap((history) => history.at(-1)?.definition ?? []);
  const spansOfType = new Map<string | null, VersionSpan[]>();
  for (const span of spans) {
    const { eventType } = span.version.definition;
    const known = spansOfType.get(eventType);
    if (known === undefined) spansOfType.set(eventType, [span]);
    else known.push(span);
  }
  const aggregates = new Map(meters.map((meter) => [meter.key, meter.aggregate]));

  return {
    meters,
    revision,
    aggregateOf: (meter) => aggregates.get(meter) ?? null,
    isMetered: (type, time) =>
      [type, null].some((each) => spansOfType.get(each)?.some(({ from, until }) => time >= from && time < until)),
    definitionAt: (meter, time) => {
      const found = spans.find(
        (span) => span.version.definition.key === meter && time >= span.from && time < span.until,
      );
      return found?.version.definition ?? null;
    },
    judge(event) {
      leader.begin(event);
      const verdicts: Verdict[] = [];
      let last = -1;
      let isSorted = true;
      const orders: number[] = [];
      index.candidates(leader, (plan) => {
        const verdict = decided(plan, false);
        if (verdict === null) return;
        verdicts.push(verdict);
        orders.push(plan.order);
        if (plan.order < last) isSorted = false;
        last = plan.order;
      });
      return isSorted ? verdicts : sortedBy(verdicts, orders);
    },
    explain(event) {
      leader.begin(event);
      return plans.flatMap((plan) => decided(plan, true) ?? []);
    },
  };
}

function historiesOf(versions: readonly MeterVersion[]): ReadonlyMap<string, readonly MeterVersion[]> {
  const histories = new Map<string, MeterVersion[]>();
  for (const version of versions) {
    const history = histories.get(version.definition.key);
    if (history === undefined) histories.set(version.definition.key, [version]);
    else history.push(version);
  }
  for (const history of histories.values()) history.sort((a, b) => a.version - b.version);
  return histories;
}

// Nearly all events are of now: the versions of now share the reader that the index uses.
function latestFirst(spans: readonly VersionSpan[]): readonly MeterVersion[] {
  return spans.toSorted((a, b) => b.until - a.until || 0).map(({ version }) => version);
}

function isEffective(plan: Plan, time: number): boolean {
  return time >= plan.from && time < plan.until;
}

function sortedBy(verdicts: readonly Verdict[], orders: readonly number[]): readonly Verdict[] {
  return verdicts
    .map((verdict, at) => ({ verdict, order: orders[at] ?? 0 }))
    .toSorted((a, b) => a.order - b.order)
    .map(({ verdict }) => verdict);
}
