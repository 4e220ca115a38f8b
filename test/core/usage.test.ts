import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addValue,
  AGGREGATE_KINDS,
  emptyState,
  isAdditive,
  mergeStates,
  resultOf,
  type AggregateKind,
} from "../../src/core/aggregation.ts";
import { formatDecimal, fromInteger } from "../../src/core/decimal.ts";
import {
  absorbBucket,
  bucketStart,
  byKey,
  diffBuckets,
  emptyTable,
  findBucket,
  foldCounts,
  groupLabels,
  groupText,
  isSameKey,
  mergeBuckets,
  usageRows,
  type Bucket,
  type CountedValue,
  type UsageRow,
} from "../../src/core/usage.ts";
import type { MeteredValue } from "../../src/core/verdict.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** One meter per aggregate, so that a key never has two. */
const counts: fc.Arbitrary<CountedValue> = fc.constantFrom(...AGGREGATE_KINDS).chain((aggregate) =>
  fc.record({
    meter: fc.constant(`meter_${aggregate}`),
    aggregate: fc.constant(aggregate),
    company: fc.constantFrom("a", "a:b", "__proto__"),
    group: fc.constantFrom("{}", groupText({ model: "x" }), groupText({ model: "x", region: "eu" })),
    bucketStart: fc.integer({ min: -3, max: 3 }).map((minutes) => minutes * MINUTE_MS),
    value: valuesOf(aggregate),
    time: fc.nat(3),
    order: fc.nat(3),
  }),
);
const batches = fc.array(counts, { maxLength: 30 });

function valuesOf(aggregate: AggregateKind): fc.Arbitrary<MeteredValue> {
  return aggregate === "unique" ? fc.constantFrom("u1", "u2") : fc.bigInt(-5n, 5n).map(fromInteger);
}

function count(value: number, change: Partial<CountedValue> = {}): CountedValue {
  const defaults = { meter: "tokens", aggregate: "sum", company: "acme", group: "{}", bucketStart: 0 } as const;
  return { ...defaults, time: 0, order: 0, value: fromInteger(value), ...change };
}

/** Buckets in an order of their own, whatever the order that they were made in. */
function sorted(buckets: readonly Bucket[]): Bucket[] {
  return buckets.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

function keyOf(bucket: Bucket): string {
  return JSON.stringify([bucket.meter, bucket.company, bucket.group, bucket.start]);
}

function shown(rows: readonly UsageRow[]): unknown[] {
  return rows.map(({ company, from, to, value, events, group }) => [
    company,
    from,
    to,
    value === null ? null : formatDecimal(value),
    events,
    group,
  ]);
}

describe("groupText", () => {
  test("has sorted keys, so that the order of labels does not matter", () => {
    expect(groupText({ b: "2", a: "1" })).toBe('{"a":"1","b":"2"}');
    expect(groupText({ a: "1", b: "2" })).toBe('{"a":"1","b":"2"}');
    expect(groupText({})).toBe("{}");
    expect(groupText({ "10": "x", "9": "y" })).toBe('{"10":"x","9":"y"}');
  });

  test("is one text per set of labels, and gives them back", () => {
    const labels = fc.dictionary(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), { maxKeys: 5 });
    fc.assert(
      fc.property(labels, (record) => {
        const text = groupText(record);
        const entries = Object.entries(groupLabels(text));
        expect(new Map(entries)).toEqual(new Map(Object.entries(record)));
        expect(groupText(Object.fromEntries(entries.toReversed()))).toBe(text);
      }),
    );
  });

  test("keeps a label named __proto__ and a lone surrogate", () => {
    const labels = Object.fromEntries([
      ["__proto__", "x"],
      ["constructor", "\ud800"],
    ]);
    expect(groupText(labels)).toBe('{"__proto__":"x","constructor":"\\ud800"}');
    expect(Object.entries(groupLabels(groupText(labels)))).toEqual(Object.entries(labels));
  });
});

describe("keys", () => {
  const key = { meter: "m", company: "c", group: "{}", start: 0 };
  const others = [{ meter: "n" }, { company: "d" }, { group: '{"a":"1"}' }, { start: 1 }].map((change) => ({
    ...key,
    ...change,
  }));

  test("are the same when meter, company, group and start are", () => {
    expect(isSameKey(key, { ...key })).toBe(true);
    expect(others.map((other) => isSameKey(key, other))).toEqual([false, false, false, false]);
  });

  test("find their bucket in a table, and nothing beside it", () => {
    const table = emptyTable();
    expect(findBucket(table, key)).toBeUndefined();
    absorbBucket(table, { ...key, aggregate: "sum", state: { ...emptyState("sum"), events: 3 } }, "{}", 0);
    expect(findBucket(table, key)).toMatchObject({ ...key, state: { events: 3 } });
    expect(others.map((other) => findBucket(table, other))).toEqual([undefined, undefined, undefined, undefined]);
  });

  test("stand by meter, company, start, group", () => {
    const ordered = [
      { meter: "a", company: "z", group: "z", start: 9 },
      { meter: "b", company: "a", group: "z", start: 9 },
      { meter: "b", company: "b", group: "z", start: 1 },
      { meter: "b", company: "b", group: "a", start: 2 },
      { meter: "b", company: "b", group: "b", start: 2 },
    ];
    expect(ordered.toReversed().toSorted(byKey)).toEqual(ordered);
    expect(byKey(key, { ...key })).toBe(0);
  });
});

test("a bucket starts at the multiple of its width at or before the event", () => {
  expect(bucketStart(1_780_000_059_999, MINUTE_MS)).toBe(1_780_000_020_000);
  expect(bucketStart(-1, MINUTE_MS)).toBe(-MINUTE_MS);
});

describe("foldCounts", () => {
  test("equals adding the values one by one", () => {
    fc.assert(
      fc.property(batches, (batch) => {
        const expected = new Map<string, Bucket>();
        for (const { meter, company, group, bucketStart: start, aggregate, value, time, order } of batch) {
          const empty = { meter, company, group, start, aggregate, state: emptyState(aggregate) };
          const bucket = expected.get(keyOf(empty)) ?? empty;
          expected.set(keyOf(empty), { ...bucket, state: addValue(aggregate, bucket.state, value, time, order) });
        }
        expect(sorted(foldCounts(batch))).toEqual(sorted([...expected.values()]));
      }),
    );
  });

  test("keys whose parts could be glued alike stay apart", () => {
    const buckets = foldCounts([
      count(1, { meter: "a", company: "b:c" }),
      count(2, { meter: "a:b", company: "c" }),
      count(3, { meter: "a", company: 'b","c' }),
      count(4, { meter: 'a","b', company: "c" }),
      count(5, { meter: "a", company: "B:C" }),
      count(6, { meter: "a", company: "b:c " }),
    ]);
    expect(buckets.map(({ state }) => state.value)).toEqual([1, 2, 3, 4, 5, 6].map(fromInteger));
  });

  test("refuses two aggregates in one bucket", () => {
    expect(() => foldCounts([count(1), count(2, { aggregate: "max" })])).toThrow(
      expect.objectContaining({
        code: "METER_AGGREGATE_CHANGED",
        message: expect.stringContaining("tokens has usage by sum and by max"),
      }),
    );
  });
});

describe("mergeBuckets", () => {
  test("folding parts and merging them equals folding the whole, in any order", () => {
    fc.assert(
      fc.property(batches, fc.nat(30), (batch, cut) => {
        const head = foldCounts(batch.slice(0, cut));
        const tail = foldCounts(batch.slice(cut));
        const whole = sorted(foldCounts(batch));
        expect(sorted(mergeBuckets(head, tail))).toEqual(whole);
        expect(sorted(mergeBuckets(tail, head))).toEqual(whole);
      }),
    );
  });

  test("changes neither list", () => {
    const a = foldCounts([count(0, { aggregate: "unique", value: "x" })]);
    const b = foldCounts([count(0, { aggregate: "unique", value: "y" })]);
    expect(mergeBuckets(a, b)[0]?.state.members).toEqual(new Set(["x", "y"]));
    expect(a[0]?.state.members).toEqual(new Set(["x"]));
    expect(b[0]?.state.members).toEqual(new Set(["y"]));
  });
});

describe("diffBuckets", () => {
  test("finds nothing between two accounts of the same usage, however they are split", () => {
    fc.assert(
      fc.property(batches, fc.nat(30), (batch, cut) => {
        const parts = [...foldCounts(batch.slice(0, cut)), ...foldCounts(batch.slice(cut))];
        expect(diffBuckets(foldCounts(batch), parts)).toEqual([]);
      }),
    );
  });

  test("finds each bucket that one value more or less has changed", () => {
    fc.assert(
      fc.property(batches, counts, (batch, extra) => {
        const before = foldCounts(batch);
        const after = foldCounts([...batch, extra]);
        const { meter, company, group, bucketStart: start } = extra;
        expect(diffBuckets(before, after)).toMatchObject([{ meter, company, group, start }]);
        expect(diffBuckets(after, before)).toMatchObject([{ meter, company, group, start }]);
      }),
    );
  });

  test("names what is missing, surplus or different, by meter, company, start, group", () => {
    const shared = count(1, { company: "b" });
    const expected = foldCounts([shared, count(5, { company: "a" }), count(1, { meter: "calls", aggregate: "count" })]);
    const actual = foldCounts([shared, count(6, { company: "a" }), count(2, { company: "b", bucketStart: HOUR_MS })]);
    expect(
      diffBuckets(expected, actual).map((row) => [row.meter, row.company, row.expected?.value, row.actual?.value]),
    ).toEqual([
      ["calls", "acme", 0n, undefined],
      ["tokens", "a", fromInteger(5), fromInteger(6)],
      ["tokens", "b", undefined, fromInteger(2)],
    ]);
  });

  test("a bucket without events equals none, and another aggregate is a difference", () => {
    const none: Bucket[] = [
      { meter: "m", company: "c", group: "{}", start: 0, aggregate: "max", state: emptyState("max") },
    ];
    expect(diffBuckets(none, [])).toEqual([]);
    expect(diffBuckets([], none)).toEqual([]);
    expect(diffBuckets(foldCounts([count(1)]), foldCounts([count(1, { aggregate: "avg" })]))).toHaveLength(1);
  });
});

describe("usageRows", () => {
  const models = ["x", "y", "x"].map((model, at) =>
    count(10 ** at, { group: groupText({ model, region: `r${at}` }), bucketStart: at * 30 * MINUTE_MS }),
  );

  test("cut into hours, half-open, with every label merged away", () => {
    expect(shown(usageRows(foldCounts(models), { window: "hour" }))).toEqual([
      ["acme", 0, HOUR_MS, "11", 2, {}],
      ["acme", HOUR_MS, 2 * HOUR_MS, "100", 1, {}],
    ]);
  });

  test("kept labels split the rows, in code unit order", () => {
    expect(shown(usageRows(foldCounts(models), { window: null, groupBy: ["model"] }))).toEqual([
      ["acme", null, null, "101", 2, { model: "x" }],
      ["acme", null, null, "10", 1, { model: "y" }],
    ]);
    expect(shown(usageRows(foldCounts(models), { window: null, groupBy: ["region", "unknown"] }))).toEqual(
      [1, 10, 100].map((value, at) => ["acme", null, null, String(value), 1, { region: `r${at}` }]),
    );
  });

  test("the bounds are half-open and cut the windows", () => {
    const query = { from: 30 * MINUTE_MS, to: 60 * MINUTE_MS };
    expect(shown(usageRows(foldCounts(models), { window: "day", ...query }))).toEqual([
      ["acme", query.from, query.to, "10", 1, {}],
    ]);
    expect(shown(usageRows(foldCounts(models), { window: null, ...query }))).toEqual([
      ["acme", query.from, query.to, "10", 1, {}],
    ]);
    expect(shown(usageRows(foldCounts(models), { window: null, from: null, to: 0 }))).toEqual([]);
  });

  test("months have their own lengths", () => {
    const times = ["2028-01-31T23:59:00Z", "2028-02-29T23:59:00Z", "2028-03-01T00:00:00Z"].map((text) =>
      Date.parse(text),
    );
    const rows = usageRows(foldCounts(times.map((time, at) => count(at + 1, { bucketStart: time }))), {
      window: "month",
    });
    expect(rows.map(({ from, to }) => [new Date(from ?? 0).toISOString(), new Date(to ?? 0).toISOString()])).toEqual([
      ["2028-01-01T00:00:00.000Z", "2028-02-01T00:00:00.000Z"],
      ["2028-02-01T00:00:00.000Z", "2028-03-01T00:00:00.000Z"],
      ["2028-03-01T00:00:00.000Z", "2028-04-01T00:00:00.000Z"],
    ]);
  });

  test("are ordered by meter, company, from and group, by code unit and not by language", () => {
    const buckets = foldCounts([
      count(1, { company: "é" }),
      count(1, { company: "z" }),
      count(1, { company: "Z" }),
      count(1, { company: "a", bucketStart: HOUR_MS }),
      count(1, { company: "a", bucketStart: -HOUR_MS }),
      count(1, { meter: "Tokens", company: "~" }),
    ]);
    const rows = usageRows(buckets, { window: "hour" });
    expect(rows.map(({ meter, company, from }) => [meter, company, from])).toEqual([
      ["Tokens", "~", 0],
      ["tokens", "Z", 0],
      ["tokens", "a", -HOUR_MS],
      ["tokens", "a", HOUR_MS],
      ["tokens", "z", 0],
      ["tokens", "é", 0],
    ]);
  });

  test("a label named __proto__ is a label", () => {
    const group = groupText(Object.fromEntries([["__proto__", "x"]]));
    const [row] = usageRows(foldCounts([count(1, { group })]), { window: null, groupBy: ["__proto__"] });
    expect(Object.entries(row?.group ?? {})).toEqual([["__proto__", "x"]]);
    expect(usageRows(foldCounts([count(1, { group })]), { window: null })[0]?.group).toEqual({});
  });

  test("distinct members are counted once per row, averages are of all events", () => {
    const users = ["u1", "u2", "u1"].map((value, at) =>
      count(0, { aggregate: "unique", value, bucketStart: at * MINUTE_MS }),
    );
    expect(shown(usageRows(foldCounts(users), { window: "hour" }))).toEqual([["acme", 0, HOUR_MS, "2", 3, {}]]);
    const averages = [1, 2, 6].map((value, at) =>
      count(value, { aggregate: "avg", bucketStart: (at % 2) * MINUTE_MS }),
    );
    expect(shown(usageRows(foldCounts(averages), { window: "hour" }))).toEqual([["acme", 0, HOUR_MS, "3", 3, {}]]);
  });

  test("whatever the window, rows hold the usage of all buckets in range", () => {
    const windows = fc.constantFrom<"hour" | "day" | "month" | number | null>("hour", "day", "month", MINUTE_MS, null);
    const groupings = fc.subarray(["model", "region"]);
    const bounds = fc.option(
      fc.integer({ min: -4, max: 4 }).map((minutes) => minutes * MINUTE_MS),
      { nil: null },
    );
    fc.assert(
      fc.property(batches, windows, groupings, bounds, bounds, (batch, window, groupBy, from, to) => {
        const inside = batch.filter(
          (one) => one.bucketStart >= (from ?? -Infinity) && one.bucketStart < (to ?? Infinity),
        );
        const buckets = foldCounts(batch);
        const rows = usageRows(buckets, { window, from, to, groupBy });
        for (const kind of AGGREGATE_KINDS) {
          const ofMeter = rows.filter(({ meter }) => meter === `meter_${kind}`);
          const own = foldCounts(inside).filter(({ aggregate }) => aggregate === kind);
          const state = own.reduce((total, bucket) => mergeStates(kind, total, bucket.state), emptyState(kind));
          expect(ofMeter.reduce((events, row) => events + row.events, 0)).toBe(state.events);
          if (!isAdditive(kind)) continue;
          expect(ofMeter.reduce((sum, row) => sum + (row.value ?? 0n), 0n)).toBe(resultOf(kind, state));
        }
        for (const row of rows) {
          expect(row.events).toBeGreaterThan(0);
          expect(Object.keys(row.group).every((label) => groupBy.includes(label))).toBe(true);
          expect(row.from ?? -Infinity).toBeLessThan(row.to ?? Infinity);
        }
      }),
    );
  });
});
