import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { AGGREGATE_KINDS, type AggregateKind } from "../../../src/core/aggregation.ts";
import { compileCatalog, type Catalog } from "../../../src/core/catalog.ts";
import { formatDecimal, isFault, readDecimal } from "../../../src/core/decimal.ts";
import type { Json, UsageEvent } from "../../../src/core/event.ts";
import { labelOf } from "../../../src/core/metered-value.ts";
import type { MeterDefinition } from "../../../src/core/meter.ts";
import { groupLabels } from "../../../src/core/usage.ts";
import type { Store } from "../../../src/engine/ports.ts";
import type { MeterQuestion, MeterRow } from "../../../src/engine/usage/meter-question.ts";
import { onBothStores } from "../both-stores.ts";
import { asked, at, attributionOf, catalogWith, customerOf, meterOf, sent, type Asked } from "./usage-world.ts";

interface WireMeter {
  readonly eventType?: string;
  readonly event_type?: string;
  readonly aggregation: string;
  readonly valueProperty?: string;
  readonly groupBy?: Readonly<Record<string, string>>;
  readonly dimensions?: Readonly<Record<string, string>>;
  readonly eventFrom?: string;
}

interface WireEvent {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly data: Readonly<Record<string, Json>>;
}

interface WireQuery {
  readonly from?: string;
  readonly to?: string;
  readonly windowSize?: "MINUTE" | "HOUR" | "DAY" | "MONTH";
  readonly granularity?: "PT1H";
  readonly windowTimeZone?: string;
  readonly subject?: readonly string[];
  readonly filterGroupBy?: Readonly<Record<string, string>>;
}

interface WireRow {
  readonly value: number | string;
  readonly windowStart?: string;
  readonly windowEnd?: string;
  readonly from?: string;
  readonly to?: string;
  readonly subject?: string;
}

interface Vector {
  readonly name: string;
  readonly kind: string;
  readonly inputs: {
    readonly meter: WireMeter;
    readonly events: readonly WireEvent[];
    readonly query: WireQuery;
    readonly data: Readonly<Record<string, Json>>;
    readonly value: Json;
  };
  readonly expected: {
    readonly rows: readonly WireRow[];
    readonly groupBy?: Readonly<Record<string, string>>;
    readonly value?: number;
    readonly uniqueValue?: string;
    readonly error?: string;
    readonly number?: number;
    readonly text?: string;
  };
}

const { vectors }: { readonly vectors: readonly Vector[] } = JSON.parse(
  readFileSync(join(import.meta.dirname, "openmeter-vectors.json"), "utf8"),
);
const ofKind = (...kinds: readonly string[]): readonly Vector[] => vectors.filter(({ kind }) => kinds.includes(kind));

function native(path: string): string {
  return path.replace(/^\$\./, "data.");
}

function aggregateOf(wire: string): AggregateKind {
  const name = wire.toLowerCase().replace("unique_count", "unique");
  const kind = AGGREGATE_KINDS.find((known) => known === name);
  if (kind === undefined) throw new Error(wire);
  return kind;
}

function definitionOf(wire: WireMeter): MeterDefinition {
  const labels = Object.entries(wire.groupBy ?? wire.dimensions ?? {}).map(([label, path]) => [label, native(path)]);
  return meterOf({
    eventType: wire.eventType ?? wire.event_type ?? null,
    aggregate: aggregateOf(wire.aggregation),
    value: wire.valueProperty === undefined ? null : native(wire.valueProperty),
    groupBy: Object.fromEntries(labels),
  });
}

function catalogOf(wire: WireMeter): Catalog {
  const effectiveFrom = wire.eventFrom === undefined ? Number.MIN_SAFE_INTEGER : at(wire.eventFrom);
  const versions = [{ definition: definitionOf(wire), version: 1, effectiveFrom }];
  return compileCatalog({ versions, fields: {}, unknownIdentity: "hold" });
}

function eventOf({ id, source, type, subject, time, data }: WireEvent): UsageEvent {
  return { ...sent(time, data, { id, subject, type }), source };
}

const UNITS = { MINUTE: "minute", HOUR: "hour", DAY: "day", MONTH: "month", PT1H: "hour" } as const;

function questionOf(query: WireQuery): Partial<MeterQuestion> {
  const size = query.windowSize ?? query.granularity;
  const filters = Object.entries(query.filterGroupBy ?? {}).map(([label, eq]) => [label, { eq }]);
  return {
    ...(query.from === undefined ? {} : { from: at(query.from) }),
    ...(query.to === undefined ? {} : { to: at(query.to) }),
    ...(query.subject === undefined ? {} : { subjects: query.subject }),
    ...(filters.length === 0 ? {} : { filters: Object.fromEntries(filters) }),
    window: size === undefined ? null : { unit: UNITS[size], count: 1 },
    zone: query.windowTimeZone ?? "UTC",
  };
}

/** A row as the vectors write it; figures are compared to nine digits, as their page says. */
function seen({ value, from, to, subject }: MeterRow): unknown {
  return { value: value === null ? null : Number(value).toFixed(9), from, to, subject };
}

function wanted(row: WireRow): unknown {
  const [from = "", to = ""] = [row.windowStart ?? row.from, row.windowEnd ?? row.to];
  return { value: Number(row.value).toFixed(9), from: at(from), to: at(to), subject: row.subject ?? null };
}

async function worldOf(store: Store, { inputs }: Vector): Promise<Asked> {
  const world = asked(store, catalogOf(inputs.meter));
  await world.take(...inputs.events.map(eventOf));
  return world;
}

/** Its value has 16 fraction digits: beyond 12 a value is held with its reason instead of being rounded. */
const TOO_FINE = "min-mixed-values";

onBothStores("the queries of OpenMeter's own tests", (make) => {
  it.each(ofKind("query", "query-v3").filter(({ name }) => name !== TOO_FINE))("$name", async (vector) => {
    const { ask } = await worldOf(await make(), vector);
    const { rows } = await ask(questionOf(vector.inputs.query));
    expect(rows.map(seen)).toEqual(vector.expected.rows.map(wanted));
  });

  it(`${TOO_FINE}: exact to twelve fraction digits, and finer values are held`, async () => {
    const [vector] = ofKind("query").filter(({ name }) => name === TOO_FINE);
    if (vector === undefined) throw new Error("no such vector");
    const exact = await worldOf(await make(), vector);
    const held = await exact.store.held({ order: "oldest", limit: 9 });
    expect(held.map(({ id, reason }) => [id, reason])).toContainEqual(["e2", "too_many_fraction_digits"]);
    await exact.take(sent("2025-05-05T11:59:03Z", { value: "0.456789012345" }));
    const { rows } = await exact.ask(questionOf(vector.inputs.query));
    expect(rows.map(({ value }) => value)).toEqual(["0.456789012345"]);
  });

  it.each(ofKind("query-error").filter(({ name }) => name !== "both-kinds-of-group-filter"))(
    "$name is refused with its place",
    async ({ inputs: { meter, query } }) => {
      const { ask } = asked(await make(), catalogOf(meter));
      const pointer = query.windowTimeZone === undefined ? "/filters/nope" : "/zone";
      await expect(ask(questionOf(query))).rejects.toMatchObject({
        code: "METER_REQUEST_INVALID",
        mistakes: [{ pointer }],
      });
    },
  );

  it("events of the past count without bounds, each identity once", async () => {
    const { ask, take } = asked(await make(), catalogWith(meterOf({ value: "data.duration_ms" })));
    const values = Array.from({ length: 1_000 }, (_, place) => (place % 100) + 1);
    const events = values.map((value, place) =>
      sent(at("2024-01-01T00:00:00Z") + place * 2_592_000, { duration_ms: String(value) }, { id: `i${place}` }),
    );
    await take(...events, ...events);
    const { rows } = await ask();
    expect(rows.map(({ value }) => value)).toEqual([String(values.reduce((sum, value) => sum + value, 0))]);
  });

  it("one identity a thousand times, at other times, is one event", async () => {
    const { ask, take } = asked(await make(), catalogWith(meterOf({ aggregate: "count", value: null })));
    const start = at("2024-01-01T00:00:00Z");
    await take(...Array.from({ length: 1_000 }, (_, place) => sent(start + place * 60_000, {}, { id: "one" })));
    expect((await ask()).rows.map(({ value }) => value)).toEqual(["1"]);
  });

  it("a customer's key and subjects attribute usage", async () => {
    const customer = customerOf("c1", "K", ["S1", "S-'2'"]);
    const attribution = attributionOf(customer);
    const meter = meterOf({ aggregate: "count", value: null });
    const { ask, take } = asked(await make(), catalogWith(meter), attribution);
    await take(
      ...["K", "S1", "S-'2'", "other"].map((subject) =>
        sent(0, {}, { subject, company: attribution.companyOf(subject, 0) }),
      ),
    );
    const byCustomer = await ask({ customers: ["c1"] });
    expect(byCustomer.rows.map(({ customer: id, value }) => [id, value])).toEqual([["c1", "3"]]);
    const bySubject = await ask({ subjects: ["K", "S1", "S-'2'"] });
    expect(bySubject.rows.map(({ subject, value }) => [subject, value])).toEqual([
      ["K", "1"],
      ["S-'2'", "1"],
      ["S1", "1"],
    ]);
  });
});

/** What counts of a vector's event; null when nothing does. */
function parsed({ inputs: { meter, data } }: Vector): unknown {
  const [verdict] = catalogOf(meter).explain(sent(0, data, { type: meter.eventType ?? "t" }));
  if (verdict?.kind !== "counted") return null;
  const value = typeof verdict.value === "bigint" ? formatDecimal(verdict.value) : verdict.value;
  return { value, groupBy: groupLabels(verdict.group) };
}

describe("what OpenMeter's tests say of one event", () => {
  it.each(ofKind("parse-event").filter(({ expected }) => expected.error === undefined))("$name", (vector) => {
    const { uniqueValue, value, groupBy } = vector.expected;
    expect(parsed(vector)).toEqual({ value: uniqueValue ?? String(value), groupBy });
  });

  it.each(ofKind("parse-event").filter(({ expected }) => expected.error !== undefined))(
    "$name does not count",
    (vector) => {
      expect(parsed(vector)).toBeNull();
    },
  );

  it.each(ofKind("value-extraction"))("$name", ({ inputs: { value }, expected }) => {
    const found = readDecimal(value);
    expect(isFault(found) ? found : formatDecimal(found)).toBe(String(expected.number));
  });

  it.each(ofKind("group-extraction"))("$name", ({ inputs: { value }, expected }) => {
    expect(labelOf(value, 200)).toBe(expected.text);
  });
});
