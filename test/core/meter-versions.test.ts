import { describe, expect, test } from "vitest";
import { nextVersions, readsAllFields, type WantedMeters } from "../../src/core/meter-versions.ts";
import type { MeterDefinition, MeterVersion } from "../../src/core/meter.ts";
import { firstVersion, tokenMeter } from "./match-fixtures.ts";

const NOW = 5_000;
const fields = { b: "'2'", c: "'3'", a: "'1'" };

function wanted(definition: MeterDefinition, changes: Partial<WantedMeters> = {}): WantedMeters {
  return { meters: [definition], fields: {}, unknownIdentity: "hold", ...changes };
}

function added(
  stored: readonly MeterVersion[],
  definition: MeterDefinition,
  changes: Partial<WantedMeters> = {},
): readonly MeterVersion[] {
  return nextVersions(stored, wanted(definition, changes), NOW, false).add;
}

describe("a stored version", () => {
  test("is compared with as the newest, in whatever order the versions come", () => {
    const old = firstVersion(tokenMeter({ name: "Old" }));
    const newest: MeterVersion = { definition: tokenMeter(), version: 2, effectiveFrom: 1_000 };
    for (const stored of [
      [old, newest],
      [newest, old],
    ]) {
      expect(added(stored, tokenMeter())).toEqual([]);
      expect(added(stored, tokenMeter({ name: "Old" }))).toMatchObject([{ version: 3, effectiveFrom: NOW }]);
    }
  });

  test("of a release that did not know a setting yet is one with its default", () => {
    const first = firstVersion(tokenMeter());
    expect(added([first], tokenMeter(), { unknownIdentity: "hold" })).toEqual([]);
    expect(added([first], tokenMeter({ late: "hold" }))).toEqual([]);
    expect(added([first], tokenMeter(), { unknownIdentity: "drop" })).toHaveLength(1);
    expect(added([first], tokenMeter({ late: "carry" }))).toHaveLength(1);
    expect(added([first], tokenMeter({ eventTimeWindow: "none" }))).toHaveLength(1);
    // The default that was written down is no edit either.
    expect(added([firstVersion(tokenMeter({ late: "hold" }))], tokenMeter())).toEqual([]);
    expect(added([{ ...first, unknownIdentity: "hold", fields: {}, ended: false }], tokenMeter())).toEqual([]);
  });

  test("gives way one moment later where both begin at once", () => {
    const first: MeterVersion = { ...firstVersion(tokenMeter()), effectiveFrom: NOW };
    expect(added([first], tokenMeter({ name: "New" }))).toMatchObject([{ version: 2, effectiveFrom: NOW + 1 }]);
    const earlier = { ...first, effectiveFrom: NOW - 1 };
    expect(added([earlier], tokenMeter({ name: "New" }))).toMatchObject([{ version: 2, effectiveFrom: NOW }]);
  });

  test("that an operator put into force ends without his note", () => {
    const replayed: MeterVersion = { ...firstVersion(tokenMeter()), replayed: { author: "ann", cause: "typo", at: 1 } };
    const { add } = nextVersions([replayed], { meters: [], fields: {}, unknownIdentity: "hold" }, NOW, false);
    expect(add).toStrictEqual([{ definition: tokenMeter(), version: 2, effectiveFrom: NOW, ended: true }]);
  });
});

describe("a meter of the API", () => {
  const api: MeterVersion = { ...firstVersion(tokenMeter({ key: "sent", reportAs: "sent" })), origin: "api" };
  const ended: MeterVersion = { ...api, version: 2, effectiveFrom: 1_000, ended: true };

  test("is neither changed nor ended by a configuration that does not have it", () => {
    expect(added([api], tokenMeter())).toMatchObject([{ definition: { key: tokenMeter().key }, version: 1 }]);
    expect(nextVersions([api], { meters: [], fields: {}, unknownIdentity: "hold" }, NOW, false)).toEqual({
      add: [],
      aggregateChanged: [],
      ofApi: [],
    });
  });

  test("stands in the way of a wanted meter of its key, same or not, and nothing of either is added", () => {
    for (const wantedMeter of [api.definition, tokenMeter({ key: "sent", aggregate: "max", report: false })])
      expect(nextVersions([api], wanted(wantedMeter), NOW, false)).toEqual({
        add: [],
        aggregateChanged: [],
        ofApi: [{ key: "sent", api: "sent", origin: "api" }],
      });
  });

  test("stands in the way of another that would be reported under its name, while both are reported", () => {
    const rival = tokenMeter({ key: "other", reportAs: "sent" });
    const both = nextVersions([firstVersion(rival), api], wanted({ ...rival, name: "New" }), NOW, false);
    expect(both).toEqual({ add: [], aggregateChanged: [], ofApi: [{ key: "other", api: "sent", origin: "api" }] });
    expect(nextVersions([api], wanted({ ...rival, report: false }), NOW, false).ofApi).toEqual([]);
    const silent: MeterVersion = { ...api, definition: { ...api.definition, report: false } };
    expect(nextVersions([silent], wanted(rival), NOW, false).ofApi).toEqual([]);
  });

  test("gives its key to the configuration after it was deleted, with the same aggregate", () => {
    const change = nextVersions([api, ended], wanted(api.definition), NOW, false);
    expect(change).toMatchObject({ aggregateChanged: [], ofApi: [] });
    expect(change.add).toEqual([
      { definition: api.definition, version: 3, effectiveFrom: NOW, fields: {}, unknownIdentity: "hold" },
    ]);
    const other = wanted({ ...api.definition, aggregate: "max" });
    expect(nextVersions([api, ended], other, NOW, false).aggregateChanged).toEqual(["sent"]);
  });
});

describe("the computed fields of a version", () => {
  test("are those that the meter reads, by name", () => {
    const reads = tokenMeter({ value: "fields.c", groupBy: { x: "fields.a", y: "metadata.b" } });
    const [version] = nextVersions([], wanted(reads, { fields }), NOW, true).add;
    expect(Object.entries(version?.fields ?? {})).toEqual([
      ["a", "'1'"],
      ["c", "'3'"],
    ]);
  });

  test("are all of them, by name, where an expression takes the fields as a whole", () => {
    const reads = tokenMeter({ match: [{ cel: "size(fields) > 1" }] });
    const [version] = nextVersions([], wanted(reads, { fields }), NOW, true).add;
    expect(Object.keys(version?.fields ?? {})).toEqual(["a", "b", "c"]);
  });

  test("are none of the same name elsewhere", () => {
    const reads = tokenMeter({ value: "metadata.a", groupBy: { who: "company" } });
    const [version] = nextVersions([], wanted(reads, { fields }), NOW, true).add;
    expect(version?.fields).toEqual({});
  });

  test("may have been stored in another order", () => {
    const reads = tokenMeter({ match: [{ cel: "size(fields) > 1" }] });
    for (const order of [fields, { c: "'3'", b: "'2'", a: "'1'" }, { a: "'1'", c: "'3'", b: "'2'" }])
      expect(added([{ ...firstVersion(reads), fields: order }], reads, { fields })).toEqual([]);
  });

  test("all decide only where an expression takes them as a whole", () => {
    expect(readsAllFields(tokenMeter({ match: [{ cel: "size(fields) > 1" }] }))).toBe(true);
    expect(readsAllFields(tokenMeter({ match: [{ cel: "fields.a == '1'" }] }))).toBe(false);
    expect(readsAllFields(tokenMeter({ value: null, match: [] }))).toBe(false);
  });
});
