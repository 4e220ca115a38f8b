import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { compileCatalog } from "../../src/core/catalog.ts";
import { replayVersions, versionSpans } from "../../src/core/meter-timeline.ts";
import { nextVersions } from "../../src/core/meter-versions.ts";
import type { MeterDefinition, MeterVersion } from "../../src/core/meter.ts";

const definition: MeterDefinition = {
  key: "calls",
  name: "Calls",
  unit: null,
  eventType: null,
  match: [],
  aggregate: "count",
  value: null,
  groupBy: {},
  missingValue: "hold",
  allowNegative: false,
  report: true,
  reportAs: "calls",
};

function version(number: number, effectiveFrom: number, more: Partial<MeterVersion> = {}): MeterVersion {
  return { definition: { ...definition, name: `v${number}` }, version: number, effectiveFrom, ...more };
}

const note = { author: "operator:ann", cause: "wrong header", at: 99 };

/** Which definition counts at each instant, by its name; - for none. */
function timeline(versions: readonly MeterVersion[], length = 30): string {
  const spans = versionSpans(versions);
  return Array.from({ length }, (_, time) => {
    const span = spans.find((each) => time >= each.from && time < each.until);
    return span === undefined || span.version.ended === true ? "-" : (span.version.definition.name.at(-1) ?? "?");
  }).join("");
}

describe("versionSpans", () => {
  it("gives each edit its time, and a replayed version all from its instant on", () => {
    expect(timeline([version(1, 0), version(2, 10), version(3, 20)])).toBe("111111111122222222223333333333");
    expect(timeline([version(1, 0), version(2, 10), { ...version(3, 5) }])).toBe("111113333333333333333333333333");
    expect(timeline([version(2, 10), version(1, 5)])).toBe("-----1111122222222222222222222");
    expect(timeline([version(1, 0), version(2, 10, { ended: true })])).toBe("1111111111--------------------");
  });

  it("is the greatest version among those that have begun, whatever their order", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(29), { minLength: 1, maxLength: 8 }), (instants) => {
        const versions = instants.map((from, place) => version(place + 1, from));
        const naive = Array.from({ length: 30 }, (_, time) => {
          const begun = versions.filter(({ effectiveFrom }) => effectiveFrom <= time);
          return begun.length === 0 ? "-" : String(Math.max(...begun.map((each) => each.version)));
        }).join("");
        expect(timeline(versions)).toBe(naive);
      }),
    );
  });

  it("is what the catalog judges by", () => {
    const versions = [version(1, 10), version(2, 20), version(3, 15)];
    const catalog = compileCatalog({ versions, fields: {}, unknownIdentity: "hold" });
    const at = (time: number) => catalog.judge({ source: "s", id: "i", type: "t", time, company: "c", user: null });
    expect([5, 10, 14, 15, 20, 25].map((time) => at(time)[0]?.version)).toEqual([undefined, 1, 1, 3, 3, 3]);
    expect(catalog.definitionAt("calls", 12)?.name).toBe("v1");
    expect(catalog.definitionAt("calls", 5)).toBeNull();
    expect(catalog.meters.map(({ name }) => name)).toEqual(["v3"]);
  });
});

const stored = [version(1, 3), version(2, 10), version(3, 20)];

function until(from: number, to: number): string {
  const change = replayVersions(stored, "calls", { from, to }, note);
  return timeline([...stored, ...(change?.add ?? [])]);
}

describe("replayVersions", () => {
  it("puts the newest version into force from an instant on, with author and cause", () => {
    const change = replayVersions(stored, "calls", { from: 5, to: null }, note);
    expect(change).toMatchObject({ from: 5, until: 20, add: [{ version: 4, effectiveFrom: 5, replayed: note }] });
    expect(timeline([...stored, ...(change?.add ?? [])])).toBe("---113333333333333333333333333");
  });

  it("ends where it is told to: what counted behind it counts as before", () => {
    expect(until(5, 12)).toBe("---113333333222222223333333333");
    expect(until(0, 2)).toBe("33-111111122222222223333333333");
    expect(until(5, 25)).toBe("---113333333333333333333333333");
    expect(until(12, 20)).toBe("---111111122333333333333333333");
  });

  it("has nothing to do where the newest version counts already, has ended or is not known", () => {
    expect(replayVersions(stored, "calls", { from: 20, to: null }, note)).toBeNull();
    expect(replayVersions(stored, "calls", { from: 7, to: 7 }, note)).toBeNull();
    expect(replayVersions(stored, "other", { from: 0, to: null }, note)).toBeNull();
    const gone = [...stored, version(4, 25, { ended: true })];
    expect(replayVersions(gone, "calls", { from: 0, to: null }, note)).toBeNull();
  });

  it("changes exactly the time that it says, however often it is done", () => {
    const spans = fc.array(fc.record({ from: fc.nat(29), to: fc.option(fc.nat(29)) }), { maxLength: 5 });
    fc.assert(
      fc.property(spans, (asked) => {
        let versions: readonly MeterVersion[] = stored;
        for (const span of asked) {
          const before = timeline(versions);
          const change = replayVersions(versions, "calls", span, note);
          if (change === null) continue;
          versions = [...versions, ...change.add];
          const expected = before
            .split("")
            .map((name, time) => (time >= change.from && time < change.until ? "3" : name));
          expect(timeline(versions)).toBe(expected.join(""));
          expect(new Set(versions.map((each) => each.version)).size).toBe(versions.length);
        }
      }),
    );
  });

  it("leaves later edits to count from their own time on", () => {
    const change = replayVersions(stored, "calls", { from: 5, to: null }, note);
    const replayed = [...stored, ...(change?.add ?? [])];
    const wanted = { meters: [{ ...definition, name: "v9" }], fields: {}, unknownIdentity: "hold" as const };
    const { add } = nextVersions(replayed, wanted, 28, false);
    expect(add).toMatchObject([{ version: 5, effectiveFrom: 28 }]);
    expect(add[0]).not.toHaveProperty("replayed");
    expect(timeline([...replayed, ...add])).toBe("---113333333333333333333333399");
    const ended = nextVersions(replayed, { ...wanted, meters: [] }, 28, false).add[0];
    expect(ended).toMatchObject({ ended: true, effectiveFrom: 28 });
    expect(ended).not.toHaveProperty("replayed");
  });
});
