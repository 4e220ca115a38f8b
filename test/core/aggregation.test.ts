import { Big } from "big.js";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  absorb,
  accumulate,
  addValue,
  AGGREGATE_KINDS,
  emptyDraft,
  emptyState,
  isAdditive,
  mergeStates,
  resultOf,
  sameState,
  type AggregateKind,
  type AggregateState,
} from "../../src/core/aggregation.ts";
import { formatDecimal, fromInteger } from "../../src/core/decimal.ts";
import type { MeteredValue } from "../../src/core/verdict.ts";

interface Counted {
  readonly value: MeteredValue;
  readonly time: number;
  readonly order: number;
}

const kinds = fc.constantFrom(...AGGREGATE_KINDS);
const LIMIT = 10n ** 38n - 1n;

/** Few distinct values, times and arrival numbers, so that ties of every sort come up. */
function counted(kind: AggregateKind): fc.Arbitrary<Counted[]> {
  const numbers = fc.oneof(fc.bigInt(-LIMIT, LIMIT), fc.bigInt(-3n, 3n));
  const value: fc.Arbitrary<MeteredValue> =
    kind === "unique" ? fc.constantFrom("a", "b", "c", "", "__proto__") : numbers;
  return fc.array(fc.record({ value, time: fc.nat(3), order: fc.nat(3) }), { maxLength: 20 });
}

function fold(kind: AggregateKind, values: readonly Counted[]): AggregateState {
  let state = emptyState(kind);
  for (const { value, time, order } of values) state = addValue(kind, state, value, time, order);
  return state;
}

/** Merges neighbours that the numbers pick until one state is left: any shape of tree. */
function mergeTree(kind: AggregateKind, leaves: readonly AggregateState[], picks: readonly number[]): AggregateState {
  const states = [...leaves];
  for (let turn = 0; states.length > 1; turn++) {
    const at = (picks[turn % picks.length] ?? 0) % (states.length - 1);
    const [left, right] = states.slice(at, at + 2);
    if (left !== undefined && right !== undefined) states.splice(at, 2, mergeStates(kind, left, right));
  }
  return states[0] ?? emptyState(kind);
}

describe("merging", () => {
  test("any order and any tree of merges gives the same state", () => {
    const scenario = kinds.chain((kind) =>
      counted(kind).chain((values) =>
        fc.record({
          kind: fc.constant(kind),
          values: fc.constant(values),
          shuffled: fc.shuffledSubarray(values, { minLength: values.length, maxLength: values.length }),
          cuts: fc.array(fc.nat(20), { maxLength: 6 }),
          picks: fc.array(fc.nat(100), { minLength: 1, maxLength: 6 }),
        }),
      ),
    );
    fc.assert(
      fc.property(scenario, ({ kind, values, shuffled, cuts, picks }) => {
        const bounds = [0, ...cuts.filter((cut) => cut < shuffled.length).toSorted((a, b) => a - b), shuffled.length];
        const parts = bounds.slice(1).map((end, at) => fold(kind, shuffled.slice(bounds[at], end)));
        const merged = mergeTree(kind, parts, picks);
        const whole = fold(kind, values);
        expect(merged).toEqual(whole);
        expect(sameState(merged, whole)).toBe(true);
        expect(resultOf(kind, merged)).toBe(resultOf(kind, whole));
      }),
      { numRuns: 1000 },
    );
  });

  test("the empty state changes nothing, and no operand is changed", () => {
    const scenario = kinds.chain((kind) => fc.tuple(fc.constant(kind), counted(kind), counted(kind)));
    fc.assert(
      fc.property(scenario, ([kind, left, right]) => {
        const a = fold(kind, left);
        const b = fold(kind, right);
        expect(mergeStates(kind, emptyState(kind), a)).toEqual(a);
        expect(mergeStates(kind, a, emptyState(kind))).toEqual(a);
        mergeStates(kind, a, b);
        for (const { value, time, order } of right) addValue(kind, a, value, time, order);
        expect(a).toEqual(fold(kind, left));
        expect(b).toEqual(fold(kind, right));
      }),
    );
  });

  test("building up in place gives what the pure functions give", () => {
    const scenario = kinds.chain((kind) => fc.tuple(fc.constant(kind), counted(kind), counted(kind)));
    fc.assert(
      fc.property(scenario, ([kind, left, right]) => {
        const draft = emptyDraft(kind);
        for (const { value, time, order } of left) accumulate(kind, draft, value, time, order);
        expect(draft).toEqual(fold(kind, left));
        absorb(kind, draft, fold(kind, right));
        expect(draft).toEqual(mergeStates(kind, fold(kind, left), fold(kind, right)));
      }),
    );
  });
});

describe("results", () => {
  test("equal a naive calculation over the values", () => {
    const scenario = kinds.chain((kind) => fc.tuple(fc.constant(kind), counted(kind)));
    fc.assert(
      fc.property(scenario, ([kind, values]) => {
        const result = resultOf(kind, fold(kind, values));
        expect(result === null ? null : formatDecimal(result)).toBe(naive(kind, values));
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ["count", "0"],
    ["sum", "0"],
    ["unique", "0"],
    ["min", null],
    ["max", null],
    ["avg", null],
    ["latest", null],
  ] as const)("%s of nothing is %s", (kind, expected) => {
    const result = resultOf(kind, emptyState(kind));
    expect(result === null ? null : formatDecimal(result)).toBe(expected);
  });

  test("latest goes by time first and by arrival among equals", () => {
    const early = addValue("latest", emptyState("latest"), fromInteger(1), 1000, 9);
    const late = addValue("latest", early, fromInteger(2), 2000, 1);
    expect(resultOf("latest", addValue("latest", late, fromInteger(3), 1500, 10))).toBe(fromInteger(2));
    expect(resultOf("latest", addValue("latest", late, fromInteger(4), 2000, 2))).toBe(fromInteger(4));
    expect(resultOf("latest", addValue("latest", late, fromInteger(5), 2000, 0))).toBe(fromInteger(2));
    expect(late).toMatchObject({ events: 2, time: 2000, order: 1 });
  });

  test("latest takes times before 1970 too", () => {
    const state = addValue("latest", emptyState("latest"), fromInteger(7), -5000, 1);
    expect(resultOf("latest", state)).toBe(fromInteger(7));
  });

  test("unique counts a number and its text once", () => {
    const one = addValue("unique", emptyState("unique"), "5", 0, 0);
    expect(resultOf("unique", addValue("unique", one, fromInteger(5), 0, 1))).toBe(fromInteger(1));
  });

  test.each(["sum", "min", "max", "avg", "latest"] as const)("%s refuses a text", (kind) => {
    expect(() => addValue(kind, emptyState(kind), "5", 0, 0)).toThrow(
      new TypeError(`${kind} expects a number, received the text "5"`),
    );
  });

  test.each(AGGREGATE_KINDS)("%s begins without events, and keeps texts only if it counts them", (kind) => {
    expect(emptyState(kind)).toEqual({
      events: 0,
      value: ["min", "max", "latest"].includes(kind) ? null : 0n,
      time: 0,
      order: 0,
      members: kind === "unique" ? new Set() : null,
    });
  });

  test("a sum beyond the range of one value stays exact", () => {
    const most = LIMIT;
    let state = emptyState("sum");
    for (let times = 0; times < 1000; times++) state = addValue("sum", state, most, 0, times);
    expect(formatDecimal(resultOf("sum", state) ?? 0n)).toBe("99999999999999999999999999999.999999999");
  });
});

test("only sum and count add up over windows", () => {
  expect(AGGREGATE_KINDS.filter(isAdditive)).toEqual(["count", "sum"]);
});

test("states differ by events, value, time, order and members", () => {
  const state = { events: 1, value: 1n, time: 1, order: 1, members: new Set(["a"]) };
  expect(sameState(state, { ...state, members: new Set(["a"]) })).toBe(true);
  for (const change of [{ events: 2 }, { value: null }, { time: 2 }, { order: 2 }, { members: null }]) {
    expect(sameState(state, { ...state, ...change })).toBe(false);
  }
  expect(sameState({ ...state, members: null }, state)).toBe(false);
  expect(sameState({ ...state, members: null }, { ...state, members: null })).toBe(true);
  expect(sameState(state, { ...state, members: new Set(["b"]) })).toBe(false);
  expect(sameState(state, { ...state, members: new Set(["a", "b"]) })).toBe(false);
});

function naive(kind: AggregateKind, values: readonly Counted[]): string | null {
  if (kind === "count") return String(values.length);
  if (kind === "unique") return String(new Set(values.map(({ value }) => value)).size);
  const numbers = values.map(({ value }) => new Big(`${value}e-12`));
  const sum = numbers.reduce((total, number) => total.plus(number), new Big(0));
  if (kind === "sum") return plain(sum);
  if (values.length === 0) return null;
  const sorted = numbers.toSorted((a, b) => a.cmp(b));
  if (kind === "min") return plain(sorted[0]);
  if (kind === "max") return plain(sorted.at(-1));
  if (kind === "avg") return plain(average(sum, values.length));
  const latest = values.toSorted((a, b) => a.time - b.time || a.order - b.order || compare(a.value, b.value)).at(-1);
  return plain(new Big(`${latest?.value ?? 0n}e-12`));
}

function average(sum: Big, count: number): Big {
  // Two guard steps would round twice; a quotient by at most 20 repeats or ends well within 60 digits.
  const precise = new Big(sum);
  const divider = Big();
  divider.DP = 60;
  return new divider(precise).div(count).round(12, Big.roundHalfEven);
}

function plain(value: Big | undefined): string {
  return value === undefined || value.eq(0) ? "0" : value.toFixed();
}

function compare(a: MeteredValue, b: MeteredValue): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
