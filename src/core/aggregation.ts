import { divide, formatDecimal, fromInteger, type Decimal } from "./decimal.ts";
import type { MeteredValue } from "./verdict.ts";

export const AGGREGATE_KINDS = ["count", "sum", "min", "max", "avg", "unique", "latest"] as const;
export type AggregateKind = (typeof AGGREGATE_KINDS)[number];

/** The state of one aggregation; merging states in any order and grouping gives the same result. */
export interface AggregateState {
  /** How many events were counted. */
  readonly events: number;
  /** sum and avg: the sum; min, max, latest: the value; count and unique: 0n. Null = nothing yet (min, max, latest). */
  readonly value: Decimal | null;
  /** latest: (time, order) of the value. Otherwise 0. */
  readonly time: number;
  readonly order: number;
  /** unique: the distinct texts. Otherwise null. */
  readonly members: ReadonlySet<string> | null;
}

/** A state that one owner still builds up in place: millions of values cost no copies. Elsewhere it is an AggregateState. */
export interface StateDraft {
  events: number;
  value: Decimal | null;
  time: number;
  order: number;
  readonly members: Set<string> | null;
}

const RESULTS: Readonly<Record<AggregateKind, (state: AggregateState) => Decimal | null>> = {
  count: ({ events }) => fromInteger(events),
  sum: ({ value }) => value,
  min: ({ value }) => value,
  max: ({ value }) => value,
  avg: ({ value, events }) => (value === null || events === 0 ? null : divide(value, fromInteger(events), "half_even")),
  unique: ({ members }) => fromInteger(members?.size ?? 0),
  latest: ({ value }) => value,
};

/** The state of no events. */
export function emptyState(kind: AggregateKind): AggregateState {
  return emptyDraft(kind);
}

/** A draft of no events. */
export function emptyDraft(kind: AggregateKind): StateDraft {
  const hasNoValueYet = kind === "min" || kind === "max" || kind === "latest";
  const members = kind === "unique" ? new Set<string>() : null;
  return { events: 0, value: hasNoValueYet ? null : 0n, time: 0, order: 0, members };
}

/** Adds one counted value. `order` is the arrival number that breaks ties of `latest`. */
export function addValue(
  kind: AggregateKind,
  state: AggregateState,
  value: MeteredValue,
  time: number,
  order: number,
): AggregateState {
  const draft = draftOf(state);
  accumulate(kind, draft, value, time, order);
  return draft;
}

/** The state of the events of both. */
export function mergeStates(kind: AggregateKind, a: AggregateState, b: AggregateState): AggregateState {
  const draft = draftOf(a);
  absorb(kind, draft, b);
  return draft;
}

/** addValue in place. Throws a TypeError when a kind that calculates is given a text. */
export function accumulate(
  kind: AggregateKind,
  draft: StateDraft,
  value: MeteredValue,
  time: number,
  order: number,
): void {
  switch (kind) {
    case "count":
      break;
    case "unique":
      draft.members?.add(typeof value === "bigint" ? formatDecimal(value) : value);
      break;
    case "sum":
    case "avg":
    case "min":
    case "max":
    case "latest":
      combine(kind, draft, numberOf(kind, value), time, order);
      break;
  }
  draft.events += 1;
}

/** mergeStates in place; `state` stays as it is. */
export function absorb(kind: AggregateKind, draft: StateDraft, state: AggregateState): void {
  draft.events += state.events;
  if (state.value !== null) combine(kind, draft, state.value, state.time, state.order);
  if (draft.members !== null && state.members !== null) for (const member of state.members) draft.members.add(member);
}

/** The figure to show; null when there is none (min, max, avg, latest of nothing). avg is rounded half-even to 12 places. */
export function resultOf(kind: AggregateKind, state: AggregateState): Decimal | null {
  return RESULTS[kind](state);
}

/** Whether totals of windows add up to the total of the period: the condition for reporting to a biller that sums. */
export function isAdditive(kind: AggregateKind): boolean {
  return kind === "sum" || kind === "count";
}

/** Whether two states say the same of the same events, down to the members and the tie-breakers. */
export function sameState(a: AggregateState, b: AggregateState): boolean {
  return (
    a.events === b.events &&
    a.value === b.value &&
    a.time === b.time &&
    a.order === b.order &&
    sameMembers(a.members, b.members)
  );
}

function draftOf(state: AggregateState): StateDraft {
  const { events, value, time, order, members } = state;
  return { events, value, time, order, members: members === null ? null : new Set(members) };
}

function combine(kind: AggregateKind, draft: StateDraft, value: Decimal, time: number, order: number): void {
  const known = draft.value;
  switch (kind) {
    case "count":
    case "unique":
      return;
    case "sum":
    case "avg":
      draft.value = (known ?? 0n) + value;
      return;
    case "min":
      if (known === null || value < known) draft.value = value;
      return;
    case "max":
      if (known === null || value > known) draft.value = value;
      return;
    case "latest":
      if (known !== null && !isLater(draft, known, value, time, order)) return;
      draft.value = value;
      draft.time = time;
      draft.order = order;
  }
}

/** By time, then arrival. Equal arrival numbers (of two stores) fall to the greater value, or merging would depend on its order. */
function isLater(draft: StateDraft, known: Decimal, value: Decimal, time: number, order: number): boolean {
  if (time !== draft.time) return time > draft.time;
  if (order !== draft.order) return order > draft.order;
  return value > known;
}

function numberOf(kind: AggregateKind, value: MeteredValue): Decimal {
  if (typeof value === "bigint") return value;
  throw new TypeError(`${kind} expects a number, received the text ${JSON.stringify(value)}`);
}

function sameMembers(a: ReadonlySet<string> | null, b: ReadonlySet<string> | null): boolean {
  if (a === null || b === null) return a === b;
  if (a.size !== b.size) return false;
  for (const member of a) if (!b.has(member)) return false;
  return true;
}
