import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileCatalog, nextVersions } from "../../src/core/catalog.ts";
import type { Catalog, WantedMeters } from "../../src/core/catalog.ts";
import { fromInteger } from "../../src/core/decimal.ts";
import { EventReader } from "../../src/core/event-reader.ts";
import type { Json, UsageEvent } from "../../src/core/event.ts";
import type { Filter } from "../../src/core/filter.ts";
import { buildIndex } from "../../src/core/match-index.ts";
import type { MeterDefinition, MeterVersion } from "../../src/core/meter.ts";
import { chatEvent, firstVersion, tokenMeter } from "./match-fixtures.ts";

function catalogOf(definitions: readonly MeterDefinition[], fields: Record<string, string> = {}): Catalog {
  return compileCatalog({ versions: definitions.map(firstVersion), fields, unknownIdentity: "hold" });
}

/** Metadata that counts how often its one value is read. */
function counting(metadata: Record<string, Json>): { readonly value: Json; looks(): number } {
  let looks = 0;
  const value = new Proxy(metadata, {
    get(target, name) {
      if (Object.hasOwn(target, name)) looks += 1;
      return Reflect.get(target, name);
    },
  });
  return { value, looks: () => looks };
}

/** An event that counts how often any of its properties is read. */
function watched(event: UsageEvent): { readonly event: UsageEvent; looks(): number } {
  let looks = 0;
  const wrap = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(inner, name) {
        looks += 1;
        const value: unknown = Reflect.get(inner, name);
        return typeof value === "object" && value !== null ? wrap(value) : value;
      },
    });
  return { event: wrap(event), looks: () => looks };
}

function line(value: number): Filter[] {
  return [{ path: "response.status", op: "eq", value }];
}

describe("what a catalog knows", () => {
  test("its meters in order, and their aggregates", () => {
    const catalog = catalogOf([tokenMeter({ key: "b" }), tokenMeter({ key: "a", aggregate: "max" })]);
    expect(catalog.meters.map((meter) => meter.key)).toEqual(["b", "a"]);
    expect(catalog.aggregateOf("a")).toBe("max");
    expect(catalog.aggregateOf("gone")).toBeNull();
  });

  test("the version of the event's time decides, from its first millisecond on", () => {
    const versions: MeterVersion[] = [
      { definition: tokenMeter({ match: line(201) }), version: 2, effectiveFrom: 500 },
      { definition: tokenMeter({ match: line(200) }), version: 1, effectiveFrom: 100 },
      { definition: tokenMeter({ key: "late" }), version: 1, effectiveFrom: 900 },
    ];
    const catalog = compileCatalog({ versions, fields: {}, unknownIdentity: "hold" });
    const at = (time: number) =>
      catalog.explain(chatEvent({ time })).map(({ meter, version, kind }) => [meter, version, kind]);
    expect(at(99)).toEqual([]);
    expect(at(100)).toEqual([["chat_tokens", 1, "counted"]]);
    expect(at(499)).toEqual([["chat_tokens", 1, "counted"]]);
    expect(at(500)).toEqual([["chat_tokens", 2, "skipped"]]);
    expect(at(900)).toEqual([
      ["chat_tokens", 2, "skipped"],
      ["late", 1, "counted"],
    ]);
    expect(catalog.meters.map((meter) => meter.match)).toEqual([line(201), tokenMeter().match]);
  });

  test("what cannot be compiled is a mistake with its place", () => {
    expect(() => catalogOf([tokenMeter({ value: "a..b" })])).toThrow(expect.objectContaining({ offset: 2 }));
    expect(() => catalogOf([tokenMeter()], { x: "1 +" })).toThrow(expect.objectContaining({ offset: 3 }));
    expect(() => catalogOf([tokenMeter({ match: [{ path: "a", op: "matches", value: "(" }] })])).toThrow("RE2");
  });
});

function manyRoutes(count: number): MeterDefinition[] {
  return Array.from({ length: count }, (_, n) =>
    tokenMeter({
      key: `m${n}`,
      match: [
        { path: "request.route", op: "eq", value: `/r${n >> 1}` },
        { path: "response.status", op: "in", value: [200, 201] },
      ],
    }),
  );
}

function manyModels(count: number): MeterDefinition[] {
  return Array.from({ length: count }, (_, n) =>
    tokenMeter({
      key: `m${n}`,
      eventType: n % 2 === 0 ? "http.request" : null,
      match: [
        { path: "request.route", op: "eq", value: "/chat" },
        { path: "request.body.model", op: "eq", value: `model-${n >> 1}` },
        { path: "response.status", op: "gte", value: 200 },
      ],
    }),
  );
}

describe("matching", () => {
  test.each([
    ["routes", manyRoutes, chatEvent({ request: { route: "/r3" } })],
    ["models on one route", manyModels, chatEvent({ request: { route: "/chat", body: { model: "model-3" } } })],
  ])("a thousand %s cost no more looks at the event than ten", (_name, make, event) => {
    const looksWith = (count: number): number => {
      const catalog = catalogOf(make(count));
      const counted = watched(event);
      expect(catalog.judge(counted.event)).toHaveLength(2);
      return counted.looks();
    };
    expect(looksWith(1_000)).toBeLessThanOrEqual(looksWith(10) + 2);
  });

  test.each([
    ["routes", manyRoutes, chatEvent({ request: { route: "/r3" } })],
    ["models on one route", manyModels, chatEvent({ request: { route: "/chat", body: { model: "model-3" } } })],
  ])("a thousand %s leave no more candidates than ten", (_name, make, event) => {
    const candidatesOf = (count: number): number => {
      const reader = new EventReader({});
      const meters = make(count).map((meter, order) => ({ order, eventType: meter.eventType, filters: meter.match }));
      const index = buildIndex(meters, reader);
      let visited = 0;
      reader.begin(event);
      index.candidates(reader, () => (visited += 1));
      return visited;
    };
    expect(candidatesOf(1_000)).toBe(2);
    expect(candidatesOf(10)).toBeLessThanOrEqual(3);
  });

  test("equal lines are decided once for all meters", () => {
    const shared: Filter = { path: "metadata.tier", op: "starts_with", value: "g" };
    const meters = Array.from({ length: 100 }, (_, n) => tokenMeter({ key: `m${n}`, match: [shared] }));
    const metadata = counting({ tier: "silver" });
    expect(catalogOf(meters).judge(chatEvent({ metadata: metadata.value }))).toEqual([]);
    expect(metadata.looks()).toBe(1);
  });

  test("a computed field is evaluated only if a candidate reads it, and once", () => {
    const fields = { big: "size(metadata.list)" };
    const meters = Array.from({ length: 20 }, (_, n) => tokenMeter({ key: `m${n}`, value: "fields.big" }));
    const catalog = catalogOf(meters, fields);
    const metadata = counting({ list: [1, 2, 3] });
    expect(catalog.judge(chatEvent({ metadata: metadata.value, request: { route: "/other" } }))).toEqual([]);
    expect(metadata.looks()).toBe(0);
    expect(catalog.judge(chatEvent({ metadata: metadata.value }))).toHaveLength(20);
    expect(metadata.looks()).toBe(1);
  });

  test("verdicts stand in the order of the meters, whatever finds them", () => {
    const meters = [
      tokenMeter({ key: "z", match: [{ path: "response.status", op: "eq", value: 200 }] }),
      ...manyRoutes(10),
      tokenMeter({ key: "y", match: [] }),
      tokenMeter({ key: "x", match: [{ path: "request.route", op: "in", value: ["/r1", "/r2"] }] }),
    ];
    const verdicts = catalogOf(meters).judge(chatEvent({ request: { route: "/r1" } }));
    expect(verdicts.map((verdict) => verdict.meter)).toEqual(["z", "m2", "m3", "y", "x"]);
  });

  test("a repeated header finds the meters of each of its values, once", () => {
    const plans = ["pro", "free", "trial", "team", "other"].map((plan, n) =>
      tokenMeter({ key: `m${n}`, match: [{ path: "request.headers.X-Plan", op: "in", value: [plan, "pro"] }] }),
    );
    const event = chatEvent({ request: { route: "/chat", headers: { "x-plan": ["pro", "free"] } } });
    expect(catalogOf(plans).judge(event)).toHaveLength(5);
  });
});

const scalars = fc.constantFrom<string | number | boolean | null>("a", "b", "1", 1, 2, "2.0", true, "true", null);
const paths = fc.constantFrom("request.route", "response.status", "metadata.a", "metadata.b", "request.headers.X-A");
const lines: fc.Arbitrary<Filter> = fc.oneof(
  fc.record({ path: paths, op: fc.constant("eq" as const), value: scalars }),
  fc.record({ path: paths, op: fc.constant("in" as const), value: fc.array(scalars, { maxLength: 3 }) }),
  fc.record({ path: paths, op: fc.constantFrom("ne" as const, "gt" as const), value: scalars }),
  fc.record({
    path: fc.constantFrom("fields.f", "metadata.a"),
    op: fc.constant("exists" as const),
    value: fc.boolean(),
  }),
  fc.constant({ cel: "response.status == 1.0" }),
);
const meters: fc.Arbitrary<MeterDefinition[]> = fc
  .array(
    fc.record({
      eventType: fc.constantFrom("http.request", "job", null),
      match: fc.array(
        fc.oneof(
          { weight: 4, arbitrary: lines },
          { weight: 1, arbitrary: fc.record({ and: fc.array(lines, { maxLength: 2 }) }) },
        ),
        { maxLength: 3 },
      ),
      aggregate: fc.constantFrom("sum" as const, "count" as const, "unique" as const),
      missingValue: fc.constantFrom("hold" as const, "skip" as const, "zero" as const),
      value: fc.constantFrom("metadata.b", "request.headers.X-A", "fields.f"),
      groupBy: fc.constantFrom<Record<string, string>>({}, { a: "metadata.a" }),
    }),
    { maxLength: 25 },
  )
  .map((list) =>
    list.map((part, n) => tokenMeter({ ...part, key: `m${n}`, value: part.aggregate === "count" ? null : part.value })),
  );
const values: fc.Arbitrary<Json | undefined> = fc.oneof(
  scalars,
  fc.array(scalars, { maxLength: 2 }),
  fc.constant(undefined),
);
const headers = fc.oneof(fc.constantFrom("a", "1", "2"), fc.array(fc.constantFrom("a", "1", "2"), { maxLength: 2 }));
const events: fc.Arbitrary<UsageEvent> = fc
  .record({
    type: fc.constantFrom("http.request", "job", "other"),
    company: fc.constantFrom("acme", null),
    route: fc.constantFrom("a", "b", null),
    status: fc.constantFrom(1, 2, 3),
    header: headers,
    a: values,
    b: values,
    faults: fc.constantFrom<UsageEvent["faults"]>(
      undefined,
      {},
      { "request.headers": "ambiguous_header" },
      { metadata: "field_error" },
      { company: "identify_failed" },
    ),
  })
  .map(({ type, company, route, status, header, a, b, faults }) => {
    const metadata: Record<string, Json> = {};
    if (a !== undefined) metadata["a"] = a;
    if (b !== undefined) metadata["b"] = b;
    const event = chatEvent({
      type,
      company,
      request: { route, headers: { "x-a": header } },
      response: { status },
      metadata,
    });
    return faults === undefined ? event : { ...event, faults };
  });

test("judge gives exactly what explain counts or holds", () => {
  fc.assert(
    fc.property(
      meters,
      fc.array(events, { minLength: 1, maxLength: 5 }),
      fc.constantFrom("hold" as const, "drop" as const),
      (definitions, list, unknownIdentity) => {
        const versions = definitions.flatMap((definition) => [
          firstVersion(definition),
          { definition: { ...definition, match: [] }, version: 2, effectiveFrom: 2_000_000 },
        ]);
        const catalog = compileCatalog({ versions, fields: { f: "number(metadata.a)" }, unknownIdentity });
        for (const event of [...list, ...list.map((one) => ({ ...one, time: 3_000_000 }))]) {
          const explained = catalog.explain(event);
          expect(explained.map((verdict) => verdict.meter)).toEqual(definitions.map((definition) => definition.key));
          expect(catalog.judge(event)).toEqual(explained.filter((verdict) => verdict.kind !== "skipped"));
          expect(explained.some((verdict) => verdict.kind === "skipped" && verdict.reason === "")).toBe(false);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("one meter among many is judged as it is alone", () => {
  fc.assert(
    fc.property(meters, events, (definitions, event) => {
      const fields = { f: "number(metadata.a)" };
      const alone = definitions.flatMap((definition) => catalogOf([definition], fields).judge(event));
      expect(catalogOf(definitions, fields).judge(event)).toEqual(alone);
    }),
    { numRuns: 300 },
  );
});

const now = 5_000;

function wanted(
  definitions: readonly MeterDefinition[],
  changes: Partial<Omit<WantedMeters, "meters">> = {},
): WantedMeters {
  return { meters: definitions, fields: {}, unknownIdentity: "hold", ...changes };
}

function stored(definition: MeterDefinition, changes: Partial<MeterVersion> = {}): MeterVersion {
  return { ...firstVersion(definition), fields: {}, unknownIdentity: "hold", ...changes };
}

function catalogWith(versions: readonly MeterVersion[]): Catalog {
  return compileCatalog({ versions, fields: {}, unknownIdentity: "hold" });
}

describe("edits", () => {
  test("the first version counts from the start in an empty store, else from now", () => {
    expect(nextVersions([], wanted([tokenMeter()]), now, true).add).toEqual([stored(tokenMeter())]);
    expect(nextVersions([], wanted([tokenMeter()]), now, false).add).toEqual([
      stored(tokenMeter(), { effectiveFrom: now }),
    ]);
  });

  test.each<[string, Partial<MeterDefinition>]>([
    ["match", { match: [] }],
    ["value", { value: "metadata.n" }],
    ["groupBy", { groupBy: { model: "metadata.model" } }],
    ["eventType", { eventType: null }],
    ["missingValue", { missingValue: "zero" }],
    ["allowNegative", { allowNegative: true }],
    ["name", { name: "Tokens" }],
    ["unit", { unit: null }],
    ["report", { report: false }],
    ["reportAs", { reportAs: "tokens_v2" }],
  ])("another %s makes a version from now on", (_name, change) => {
    const { add } = nextVersions([stored(tokenMeter())], wanted([tokenMeter(change)]), now, false);
    expect(add).toEqual([stored(tokenMeter(change), { version: 2, effectiveFrom: now })]);
  });

  test("the order of lines and labels is no edit", () => {
    const meter = tokenMeter({ groupBy: { a: "metadata.a", b: "metadata.b" } });
    const same = { ...meter, match: meter.match.toReversed(), groupBy: { b: "metadata.b", a: "metadata.a" } };
    expect(nextVersions([stored(meter)], wanted([same]), now, false).add).toEqual([]);
  });

  test.each<[string, Partial<MeterDefinition>]>([
    ["value", { value: "fields.a" }],
    ["groupBy", { groupBy: { label: "fields.a" } }],
    ["match", { match: [{ or: [{ not: { path: "fields.a", op: "exists", value: true } }] }] }],
    ["an expression", { match: [{ cel: "fields.a == '1'" }] }],
  ])("a computed field is part of the meters that read it in %s, and of no other", (_name, change) => {
    const reads = tokenMeter(change);
    const other = tokenMeter({ key: "other" });
    const before = nextVersions([], wanted([reads, other], { fields: { a: "'1'", b: "'2'" } }), 0, true).add;
    expect(before.map(({ fields }) => fields)).toEqual([{ a: "'1'" }, {}]);
    const unread = wanted([reads, other], { fields: { b: "'3'", a: "'1'" } });
    expect(nextVersions(before, unread, now, false).add).toEqual([]);
    const edited = wanted([reads, other], { fields: { a: "'x'", b: "'2'" } });
    expect(nextVersions(before, edited, now, false).add).toEqual([
      stored(reads, { version: 2, effectiveFrom: now, fields: { a: "'x'" } }),
    ]);
  });

  test("an expression over all fields depends on each of them", () => {
    const meter = tokenMeter({ match: [{ cel: "size(fields) > 1" }] });
    const before = nextVersions([], wanted([meter], { fields: { b: "'2'", a: "'1'" } }), 0, true).add;
    expect(before[0]?.fields).toEqual({ a: "'1'", b: "'2'" });
    expect(nextVersions(before, wanted([meter], { fields: { a: "'1'" } }), now, false).add).toHaveLength(1);
  });

  test("what becomes of usage of nobody is part of every meter", () => {
    const { add } = nextVersions(
      [stored(tokenMeter())],
      wanted([tokenMeter()], { unknownIdentity: "drop" }),
      now,
      false,
    );
    expect(add).toEqual([stored(tokenMeter(), { version: 2, effectiveFrom: now, unknownIdentity: "drop" })]);
  });

  test("a changed aggregate is reported and changes nothing", () => {
    const change = nextVersions([stored(tokenMeter())], wanted([tokenMeter({ aggregate: "max" })]), now, false);
    expect(change).toEqual({ add: [], aggregateChanged: ["chat_tokens"], ofApi: [] });
  });

  test("a meter that is gone from the file ends once, and goes on when it is wanted again", () => {
    const versions = [stored(tokenMeter()), stored(tokenMeter({ key: "other" }))];
    const ended = stored(tokenMeter({ key: "other" }), { version: 2, effectiveFrom: now, ended: true });
    expect(nextVersions(versions, wanted([tokenMeter()]), now, false).add).toEqual([ended]);
    const after = [...versions, ended];
    expect(nextVersions(after, wanted([tokenMeter()]), now + 1, false).add).toEqual([]);
    const back = nextVersions(after, wanted([tokenMeter(), tokenMeter({ key: "other" })]), now + 9, false);
    expect(back.add).toEqual([stored(tokenMeter({ key: "other" }), { version: 3, effectiveFrom: now + 9 })]);
    const otherwise = wanted([tokenMeter(), tokenMeter({ key: "other", aggregate: "max" })]);
    expect(nextVersions(after, otherwise, now + 9, false)).toEqual({ add: [], aggregateChanged: ["other"], ofApi: [] });
  });

  test("a clock that went back does not reorder versions", () => {
    const versions = [stored(tokenMeter(), { version: 3, effectiveFrom: 9_000 })];
    const { add } = nextVersions(versions, wanted([tokenMeter({ match: [] })]), now, false);
    expect(add).toMatchObject([{ version: 4, effectiveFrom: 9_001 }]);
  });

  test("applying an edit twice adds nothing the second time", () => {
    fc.assert(
      fc.property(meters, meters, (before, after) => {
        const fields = { f: "number(metadata.a)" };
        const sameAggregates = after.map((meter, n) => ({
          ...meter,
          aggregate: before[n]?.aggregate ?? meter.aggregate,
        }));
        const first = nextVersions([], wanted(before, { fields }), 0, true).add;
        const second = nextVersions(first, wanted(sameAggregates, { fields }), now, false).add;
        const third = nextVersions([...first, ...second], wanted(sameAggregates, { fields }), now + 1, false);
        expect(third.add).toEqual([]);
        for (const version of second) expect(version.effectiveFrom).toBe(now);
      }),
    );
  });
});

function costWithFields(count: number): number {
  const versions = Array.from({ length: count }, (_, n) => {
    const definition = tokenMeter({
      key: `m${n}`,
      match: [{ path: "request.route", op: "eq", value: `/r${n}` }],
      value: `fields.f${n}`,
    });
    const fields = (text: string) => ({ [`f${n}`]: `number(metadata.${text})` });
    return [
      { ...firstVersion(definition), fields: fields("a") },
      { definition, version: 2, effectiveFrom: now, fields: fields("b") },
    ];
  }).flat();
  const catalog = catalogWith(versions);
  const seen = watched(chatEvent({ time: now, request: { route: "/r3" }, metadata: { a: "1", b: "2" } }));
  expect(catalog.judge(seen.event)).toMatchObject([{ meter: "m3", version: 2, value: fromInteger(2) }]);
  return seen.looks();
}

describe("versions with their own computed fields", () => {
  const meter = tokenMeter({
    match: [{ cel: "fields.kind == 'chat'" }],
    value: "fields.n",
    groupBy: { k: "fields.kind" },
  });
  const first = { kind: "'chat'", n: "number('1')" };

  test("each judges by the texts that it had", () => {
    const catalog = catalogWith([
      { ...firstVersion(meter), fields: first },
      { definition: meter, version: 2, effectiveFrom: now, fields: { ...first, n: "number('2')" } },
      { definition: meter, version: 3, effectiveFrom: now + 1, fields: { ...first, kind: "'other'" } },
    ]);
    const at = (time: number) => catalog.judge(chatEvent({ time }));
    expect(at(0)).toMatchObject([{ version: 1, value: fromInteger(1), group: '{"k":"chat"}' }]);
    expect(at(now)).toMatchObject([{ version: 2, value: fromInteger(2) }]);
    expect(at(now + 1)).toEqual([]);
    expect(catalog.explain(chatEvent({ time: now + 1 }))).toMatchObject([{ kind: "skipped", version: 3 }]);
    expect(at(0)).toMatchObject([{ version: 1, value: fromInteger(1) }]);
  });

  test("fields of other meters are not seen by one that looks at all of them", () => {
    const all = tokenMeter({ key: "all", match: [{ cel: "size(fields) == 1" }], value: null, aggregate: "count" });
    const versions = [
      { ...firstVersion(meter), fields: first },
      { ...firstVersion(all), fields: { only: "'1'" } },
    ];
    for (const order of [versions, versions.toReversed()]) {
      const counted = catalogWith(order).judge(chatEvent());
      expect(counted.map((verdict) => `${verdict.meter} ${verdict.kind}`).toSorted()).toEqual([
        "all counted",
        "chat_tokens counted",
      ]);
    }
  });

  test("a meter that has ended counts its past, nothing after, and keeps its place", () => {
    const catalog = catalogWith([
      firstVersion(tokenMeter()),
      { definition: tokenMeter(), version: 2, effectiveFrom: now, ended: true },
      { definition: tokenMeter(), version: 3, effectiveFrom: now + 10 },
      firstVersion(tokenMeter({ key: "gone", aggregate: "max" })),
      { definition: tokenMeter({ key: "gone", aggregate: "max" }), version: 2, effectiveFrom: now, ended: true },
    ]);
    const at = (time: number) => catalog.judge(chatEvent({ time })).map(({ meter: key, version }) => [key, version]);
    expect(at(now - 1)).toEqual([
      ["chat_tokens", 1],
      ["gone", 1],
    ]);
    expect(at(now)).toEqual([]);
    expect(catalog.explain(chatEvent({ time: now }))).toEqual([]);
    expect(at(now + 10)).toEqual([["chat_tokens", 3]]);
    expect(catalog.aggregateOf("gone")).toBe("max");
    expect(catalog.meters.map(({ key }) => key)).toEqual(["chat_tokens", "gone"]);
  });

  test("each version says what becomes of usage of nobody", () => {
    const catalog = catalogWith([
      { ...firstVersion(tokenMeter()), unknownIdentity: "hold" },
      { definition: tokenMeter(), version: 2, effectiveFrom: now, unknownIdentity: "drop" },
    ]);
    expect(catalog.judge(chatEvent({ company: null, time: 0 }))).toMatchObject([{ kind: "held" }]);
    expect(catalog.judge(chatEvent({ company: null, time: now }))).toEqual([]);
  });

  test("an event costs the same with many fields and their edits as with few", () => {
    expect(costWithFields(500)).toBe(costWithFields(5));
  });
});

test("a catalog knows whether some meter is for a type at an instant, whatever else the meter asks", () => {
  const chat = tokenMeter({ key: "chat", eventType: "chat" });
  const from = { definition: chat, version: 1, effectiveFrom: 100 };
  const end = { definition: chat, version: 2, effectiveFrom: 200, ended: true };
  const one = compileCatalog({ versions: [from, end], fields: {}, unknownIdentity: "hold" });
  expect([99, 100, 199, 200].map((time) => one.isMetered("chat", time))).toEqual([false, true, true, false]);
  expect(one.isMetered("other", 150)).toBe(false);
  const every = compileCatalog({
    versions: [from, firstVersion(tokenMeter({ key: "all", eventType: null }))],
    fields: {},
    unknownIdentity: "hold",
  });
  expect([every.isMetered("other", 0), every.isMetered("chat", 0)]).toEqual([true, true]);
});
