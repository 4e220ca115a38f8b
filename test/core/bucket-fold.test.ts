import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addValue, AGGREGATE_KINDS, emptyState, type AggregateKind } from "../../src/core/aggregation.ts";
import { bucketFold, uncovered } from "../../src/core/bucket-fold.ts";
import { formatDecimal, fromInteger } from "../../src/core/decimal.ts";
import { byKey, diffBuckets, foldCounts, mergeBuckets, type Bucket, type CountedValue } from "../../src/core/usage.ts";

function count(value: number | string, change: Partial<CountedValue> = {}): CountedValue {
  return {
    meter: "tokens",
    aggregate: "sum",
    company: "acme",
    group: "{}",
    bucketStart: 0,
    time: 0,
    order: 0,
    value: typeof value === "string" ? value : fromInteger(value),
    ...change,
  };
}

/** Usage of one meter, in few keys, so that the same come up in what was added, the archive and the store. */
function usageOf(aggregate: AggregateKind): fc.Arbitrary<CountedValue[]> {
  const value = aggregate === "unique" ? fc.constantFrom("x", "y") : fc.integer({ min: -2, max: 2 });
  const values = fc.record({ value, at: fc.nat(1), order: fc.nat(3), group: fc.constantFrom("{}", '{"a":"1"}') });
  return fc.array(
    values.map(({ value: one, at, order, group }) =>
      count(one, { aggregate, order, group, company: `c${at}`, bucketStart: at * 60_000 }),
    ),
    { maxLength: 8 },
  );
}

function differences(
  live: readonly CountedValue[],
  archive: readonly CountedValue[],
  stored: readonly CountedValue[],
): ReturnType<typeof diffBuckets> {
  const fold = bucketFold();
  fold.add(live);
  return [...fold.differences("tokens", foldCounts(archive), foldCounts(stored))];
}

describe("bucketFold", () => {
  test("grows to what folding all at once gives", () => {
    fc.assert(
      fc.property(usageOf("sum"), usageOf("sum"), (head, tail) => {
        const fold = bucketFold();
        fold.add(head);
        fold.add(tail);
        expect(fold.buckets()).toEqual(foldCounts([...head, ...tail]));
      }),
    );
  });

  test("knows its meters, and refuses two aggregates of one", () => {
    const fold = bucketFold();
    fold.add([count(1), count(1, { meter: "calls", aggregate: "count" }), count(2)]);
    expect(fold.meters()).toEqual(["tokens", "calls"]);
    expect(() => fold.add([count(1, { aggregate: "max" })])).toThrow(
      expect.objectContaining({ code: "METER_AGGREGATE_CHANGED" }),
    );
  });

  test("finds exactly the differences between the store and both what was added and the archive", () => {
    const accounts = fc
      .constantFrom(...AGGREGATE_KINDS)
      .chain((kind) => fc.tuple(usageOf(kind), usageOf(kind), usageOf(kind)));
    fc.assert(
      fc.property(accounts, ([live, archive, stored]) => {
        const expected = mergeBuckets(foldCounts(live), foldCounts(archive));
        expect(differences(live, archive, stored)).toEqual(diffBuckets(expected, foldCounts(stored)));
        expect(differences(live, archive, [...live, ...archive])).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test("names what only one side has, in order, and leaves other meters alone", () => {
    const live = [count(1, { company: "d" }), count(9, { meter: "calls" }), count(2, { company: "b" })];
    const archive = [count(3, { company: "b" }), count(4, { company: "c" })];
    const found = differences(live, archive, [count(6, { company: "b" }), count(7, { company: "a" })]);
    expect(
      found.map(({ meter, company, expected, actual }) => [meter, company, expected?.value, actual?.value]),
    ).toEqual([
      ["tokens", "a", undefined, fromInteger(7)],
      ["tokens", "b", fromInteger(5), fromInteger(6)],
      ["tokens", "c", fromInteger(4), undefined],
      ["tokens", "d", fromInteger(1), undefined],
    ]);
    expect(found[0]).toEqual({
      meter: "tokens",
      company: "a",
      group: "{}",
      start: 0,
      aggregate: "sum",
      expected: null,
      actual: { events: 1, value: fromInteger(7), time: 0, order: 0, members: null },
    });
  });

  test("takes a bucket without events for none, and another aggregate for a difference", () => {
    const empty: Bucket = {
      meter: "tokens",
      company: "acme",
      group: "{}",
      start: 0,
      aggregate: "max",
      state: emptyState("max"),
    };
    const fold = bucketFold();
    expect(fold.differences("tokens", [], [empty])).toEqual([]);
    expect(fold.differences("tokens", [empty], [])).toEqual([]);
    fold.add([count(0, { aggregate: "sum" })]);
    const asAverage: Bucket = { ...empty, aggregate: "avg", state: { ...emptyState("avg"), events: 1 } };
    expect(fold.differences("tokens", [], [asAverage])).toHaveLength(1);
    expect(fold.differences("tokens", [], [{ ...asAverage, aggregate: "sum" }])).toEqual([]);
  });
});

/** A bucket of these values. */
function bucket(aggregate: AggregateKind, values: readonly (number | string)[], change: Partial<Bucket> = {}): Bucket {
  let state = emptyState(aggregate);
  for (const [order, value] of values.entries())
    state = addValue(aggregate, state, typeof value === "string" ? value : fromInteger(value), order, order);
  return { meter: "tokens", company: "acme", group: "{}", start: 0, aggregate, state, ...change };
}

describe("uncovered", () => {
  test.each<[string, AggregateKind, (number | string)[], (number | string)[], boolean]>([
    ["the same events with the same figure", "sum", [1, 2], [1, 2], true],
    ["the same events with another figure", "sum", [1, 2], [1, 3], false],
    ["fewer events than the archive has", "sum", [1, 2], [1], false],
    ["other events beside them, whatever their sum", "sum", [5], [-7, 1], true],
    ["other events beside them, whatever their average", "avg", [5], [1, 1], true],
    ["other calls beside them", "count", [1], [1, 1], true],
    ["other events beside them that are smaller", "max", [5], [1, 2, 5], true],
    ["other events beside them, but not the greatest", "max", [5], [1, 2, 3], false],
    ["other events beside them, but not the least", "min", [1], [2, 3], false],
    ["other events beside them that are greater", "min", [1], [2, 1], true],
    ["other texts beside them", "unique", ["x"], ["y", "x"], true],
    ["other texts instead of them", "unique", ["x"], ["y", "z"], false],
    ["a later value beside it", "latest", [1], [1, 2], true],
  ])("usage with %s (%s)", (_what, aggregate, archived, stored, isCovered) => {
    const part = bucket(aggregate, archived);
    expect(uncovered([part], [bucket(aggregate, stored)])).toEqual(isCovered ? [] : [part]);
  });

  test("with earlier values alone is not that of an archive that has the latest", () => {
    const part = bucket("latest", []);
    const late = { ...part, state: addValue("latest", part.state, fromInteger(1), 9, 9) };
    expect(uncovered([late], [bucket("latest", [7, 8])])).toEqual([late]);
  });

  test("names the archived buckets that are nowhere in the usage, and none without events", () => {
    const here = bucket("sum", [1]);
    const gone = bucket("sum", [1], { company: "globex" });
    const empty = bucket("sum", [], { company: "initech" });
    const other = bucket("avg", [1], { meter: "times" });
    expect(uncovered([here, gone, empty], [here])).toEqual([gone]);
    expect(uncovered([other], [bucket("sum", [1, 1], { meter: "times" })])).toEqual([other]);
    expect(uncovered([], [here])).toEqual([]);
  });

  test("adds up an archive that has a bucket twice", () => {
    const once = bucket("sum", [3]);
    expect(uncovered([once, once], [once]).map(({ state }) => formatDecimal(state.value ?? 0n))).toEqual(["6"]);
    expect(uncovered([once, once], [bucket("sum", [3, 3])])).toEqual([]);
  });

  test("never names what was merged into the usage, whatever was counted since", () => {
    const accounts = fc.constantFrom(...AGGREGATE_KINDS).chain((kind) => fc.tuple(usageOf(kind), usageOf(kind)));
    fc.assert(
      fc.property(accounts, ([archived, since]) => {
        const archive = foldCounts(archived);
        const stored = mergeBuckets(archive, foldCounts(since)).toSorted(byKey);
        expect(uncovered(archive, stored)).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});
