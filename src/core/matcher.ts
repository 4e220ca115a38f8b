import { fromInteger } from "./decimal.ts";
import type { Decimal } from "./decimal.ts";
import { EXCHANGE_TYPE } from "./event.ts";
import type { HoldReason, UsageEvent } from "./event.ts";
import type { EventReader, ReadFault, ReadScope } from "./event-reader.ts";
import type { Filter } from "./filter.ts";
import type { LineBook, MatchLine } from "./match-line.ts";
import type { MeterVersion, UnknownIdentity } from "./meter.ts";
import { labelOf, readValue } from "./metered-value.ts";
import type { ValueReading } from "./metered-value.ts";
import { ownMember, ownMembers, owns } from "./own-member.ts";
import { shown } from "./scalar.ts";
import { groupLabels, groupText, SUBJECT_LABEL } from "./usage.ts";
import type { MeteredValue, Verdict } from "./verdict.ts";

/** Bounds and settings that decide verdicts beside the meters themselves. */
export interface MatchRules {
  readonly unknownIdentity: UnknownIdentity;
  /** Longest group label; longer ones are cut. */
  readonly groupLabelLengthMax: number;
  /** An event stamped this much later than it was recorded is held, milliseconds. */
  readonly futureMs: number;
}

/** One meter version, compiled: what `decide` runs. */
export interface Plan {
  /** Knows the computed fields of this version. */
  readonly reader: EventReader;
  readonly rules: MatchRules;
  readonly order: number;
  readonly meter: string;
  readonly version: number;
  /** Half-open span of event time in which it counts, milliseconds UTC. */
  readonly from: number;
  readonly until: number;
  readonly eventType: string | null;
  readonly filters: readonly Filter[];
  readonly lines: readonly MatchLine[];
  readonly readValue: (() => ValueReading) | null;
  readonly readGroup: () => string;
  /** What value and groups read. */
  readonly scope: ReadScope;
}

/** Compiles a meter version that counts in [its effectiveFrom, `until`). Throws PathError, FilterError or ExpressionError. */
export function compilePlan(
  { definition, version, effectiveFrom }: MeterVersion,
  until: number,
  order: number,
  book: LineBook,
  reader: EventReader,
  rules: MatchRules,
): Plan {
  const filters = definition.match.flatMap(flattened);
  const labels = Object.entries(definition.groupBy);
  const reads = [...(definition.value === null ? [] : [definition.value]), ...labels.map(([, path]) => path)];
  const scopes = reads.map((path) => reader.scopeOfPath(path));
  return {
    reader,
    rules,
    order,
    meter: definition.key,
    version,
    from: effectiveFrom,
    until,
    eventType: definition.eventType,
    filters,
    lines: filters.map((filter) => book.line(filter)),
    readValue: definition.value === null ? null : valueReader(definition.value),
    readGroup: groupReader(labels, reader, rules.groupLabelLengthMax),
    scope: { scopes: scopes.flatMap((scope) => scope.scopes), fields: scopes.flatMap((scope) => scope.fields) },
  };

  function valueReader(text: string): () => ValueReading {
    const slot = reader.slotOf(text);
    const path = reader.pathOf(slot);
    return () => readValue(definition, path, reader.read(slot));
  }
}

/**
 * What one meter says of its reader's event: the one place where that is decided, for counting and for explaining.
 * The plan must be effective at the event's time. Null stands for skipped unless `why` asks for the reason.
 */
export function decide(plan: Plan, why: boolean): Verdict | null {
  const { reader, rules } = plan;
  const { event } = reader;
  if (plan.eventType !== null && event.type !== plan.eventType) {
    return why ? skipped(plan, `type is ${shown(event.type)}, wants ${shown(plan.eventType)}`) : null;
  }
  let undecided: MatchLine | null = null;
  for (const line of plan.lines) {
    const state = line.state();
    if (state === "fails") return why ? skipped(plan, line.failure()) : null;
    // A later line may still fail for certain, and then nothing is lost.
    if (state === "undecided") undecided ??= line;
  }
  const fault = undecided?.fault() ?? readFault(plan, reader);
  if (fault !== null) return held(plan, fault.reason, fault.detail, null);

  const reading = plan.readValue === null ? one : plan.readValue();
  if (reading.kind === "skip") return why ? skipped(plan, reading.reason) : null;
  if (reading.kind === "held") return held(plan, reading.reason, reading.detail, null);
  const recordedAt = ownMember(event, "recordedAt");
  if (recordedAt !== undefined && event.time > recordedAt + rules.futureMs) {
    return held(plan, "future", "the event is stamped later than it was recorded", null);
  }
  if (event.company === null) return unidentified(plan, event, rules, reading.value, why);
  return { kind: "counted", meter: plan.meter, version: plan.version, value: reading.value, group: plan.readGroup() };
}

const one: ValueReading & { readonly value: Decimal } = { kind: "value", value: fromInteger(1) };

// Lines that are joined by `and` are lines of their own: the index sees them and the explanation names the one that fails.
function flattened(filter: Filter): readonly Filter[] {
  return owns(filter, "and") ? filter.and.flatMap(flattened) : [filter];
}

function readFault(plan: Plan, reader: EventReader): ReadFault | null {
  return reader.hasFaults || plan.scope.fields.length > 0 ? reader.faultIn(plan.scope) : null;
}

// With `drop`, an event that nobody was identified for is no usage; one whose hook failed may be, and is held.
function unidentified(
  plan: Plan,
  event: UsageEvent,
  rules: MatchRules,
  value: MeteredValue,
  why: boolean,
): Verdict | null {
  const { company: reason = "no_company" } = ownMembers(ownMembers(event).faults ?? {});
  if (reason === "no_company" && rules.unknownIdentity === "drop") {
    return why ? skipped(plan, "nobody identified") : null;
  }
  return held(plan, reason, payerSentence(reason, event.type), value);
}

function payerSentence(reason: HoldReason, eventType: string): string {
  if (eventType !== EXCHANGE_TYPE) {
    return reason === "no_company" ? "no companyId was given" : `the companyId cannot be used: ${reason}`;
  }
  return payerSentences[reason] ?? `the company is not known: ${reason}`;
}

const payerSentences: Readonly<Partial<Record<HoldReason, string>>> = {
  no_company: "identifyCompany() gave nothing",
  identify_failed: "identifyCompany() failed",
  identify_timeout: "identifyCompany() did not answer in time",
  identify_bad_type: "identifyCompany() gave something that is no text",
  bad_identifier: "identifyCompany() gave an identifier that is empty, too long or has control characters",
};

function groupReader(
  labels: readonly (readonly [string, string])[],
  reader: EventReader,
  lengthMax: number,
): () => string {
  const own = labels.length === 0 ? () => "{}" : labelledGroup(labels, reader, lengthMax);
  return () => {
    const { event } = reader;
    const subject = ownMember(event, "subject");
    // The usual subject is the payer, and needs no label of its own.
    if (subject === undefined || subject === event.company) return own();
    return groupText({ ...groupLabels(own()), [SUBJECT_LABEL]: subject });
  };
}

function labelledGroup(
  labels: readonly (readonly [string, string])[],
  reader: EventReader,
  lengthMax: number,
): () => string {
  const slots = labels.map(([, path]) => reader.slotOf(path));
  // The same few groups come again and again; writing their text costs more than all else of a verdict.
  const known = new Map<string, string>();
  const write = (): string =>
    groupText(
      Object.fromEntries(labels.map(([label], index) => [label, labelOf(reader.read(slots[index] ?? 0), lengthMax)])),
    );
  return () => {
    let key = "";
    for (const slot of slots) {
      const label = labelOf(reader.read(slot), lengthMax);
      key += `${label.length}:${label}`;
    }
    const before = known.get(key);
    if (before !== undefined) return before;
    if (known.size >= groupsKeptMax) known.clear();
    const text = write();
    known.set(key, text);
    return text;
  };
}

const groupsKeptMax = 1_000;

function skipped(plan: Plan, reason: string): Verdict {
  return { kind: "skipped", meter: plan.meter, version: plan.version, reason };
}

function held(plan: Plan, reason: HoldReason, detail: string, value: MeteredValue | null): Verdict {
  return { kind: "held", meter: plan.meter, version: plan.version, reason, detail, value, group: plan.readGroup() };
}
