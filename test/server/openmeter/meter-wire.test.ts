import { describe, expect, it } from "vitest";

import { isMeterbookError, MeterbookError } from "../../../src/core/errors.ts";
import { meterCreate, meterDraft, meterPatch, shownMeter } from "../../../src/server/openmeter/meter-wire.ts";
import {
  v3MeterCreate,
  v3MeterDraft,
  v3MeterPatch,
  V3_METER_NAMES,
  v3ShownMeter,
} from "../../../src/server/openmeter/v3-meter-wire.ts";
import { inWireWords } from "../../../src/server/openmeter/wire-mistakes.ts";
import { meterView, T0 } from "./samples.ts";

const tokens = { slug: "tokens_total", eventType: "prompt", aggregation: "SUM", valueProperty: "$.tokens" };

function pointers(run: () => unknown): readonly string[] {
  try {
    run();
    return [];
  } catch (error) {
    if (!isMeterbookError(error) || error.code !== "METER_REQUEST_INVALID") throw error;
    return error.mistakes.map(({ pointer }) => pointer);
  }
}

const draftOf = (body: object) => meterDraft(meterCreate.parse(body));

describe("a meter over v1", () => {
  it("becomes a draft with OpenMeter's rules: no number is skipped, a negative one counts", () => {
    const sent = {
      ...tokens,
      groupBy: { model: "$.model", first: "$.list[*].name" },
      eventFrom: "2025-01-01T01:00:00+01:00",
    };
    expect(draftOf(sent)).toEqual({
      key: "tokens_total",
      eventType: "prompt",
      aggregate: "sum",
      value: "data.tokens",
      groupBy: { model: "data.model", first: "$.data.list[*].name" },
      missingValue: "skip",
      allowNegative: true,
      eventFrom: T0,
    });
  });

  it.each([
    ["SUM", "sum"],
    ["AVG", "avg"],
    ["MIN", "min"],
    ["MAX", "max"],
    ["UNIQUE_COUNT", "unique"],
    ["LATEST", "latest"],
  ])("knows %s", (aggregation, aggregate) => {
    expect(draftOf({ ...tokens, aggregation }).aggregate).toBe(aggregate);
    expect(pointers(() => draftOf({ ...tokens, aggregation, valueProperty: undefined }))).toEqual(["/valueProperty"]);
  });

  it("COUNT with a value is refused, and needs none", () => {
    const { valueProperty: _, ...count } = { ...tokens, aggregation: "COUNT" };
    expect(draftOf(count)).toMatchObject({ aggregate: "count", value: null });
    expect(pointers(() => draftOf({ ...count, valueProperty: "$.tokens" }))).toEqual(["/valueProperty"]);
  });

  it("says every path that cannot be read, where it stands", () => {
    const sent = { ...tokens, valueProperty: "tokens", groupBy: { "a/b": "$.a[?(@.x)]", fine: "$.x" } };
    expect(pointers(() => draftOf(sent))).toEqual(["/valueProperty", "/groupBy/a~1b"]);
  });

  it("is shown as it was made", () => {
    const shown = shownMeter(meterView({ eventFrom: T0, description: "d", metadata: { team: "x" } }));
    expect(shown).toEqual({
      id: "01METER",
      slug: "tokens_total",
      name: "Tokens",
      description: "d",
      metadata: { team: "x" },
      aggregation: "SUM",
      eventType: "prompt",
      eventFrom: "2025-01-01T00:00:00.000Z",
      valueProperty: "$.tokens",
      groupBy: { model: "$.model" },
      createdAt: "2025-01-01T00:00:00.000Z",
      updatedAt: "2025-01-01T00:00:00.000Z",
    });
  });

  it("one of the file is shown with its own paths", () => {
    const shown = shownMeter(
      meterView({ eventType: null, value: "response.body.usage", origin: "file", deletedAt: T0 }),
    );
    expect(shown).toMatchObject({
      eventType: "*",
      valueProperty: "response.body.usage",
      deletedAt: expect.any(String),
    });
    expect(shownMeter(meterView({ aggregate: "count", value: null }))).not.toHaveProperty("valueProperty");
  });

  it("a change leaves alone what it does not name, labels above all", () => {
    expect(meterPatch({ name: "New" })).toEqual({ name: "New" });
    expect(meterPatch({ metadata: null, groupBy: { a: "$.b" } })).toEqual({ metadata: {}, groupBy: { a: "data.b" } });
  });

  it("hears of a mistake that the engine found under the name that was sent", async () => {
    const mistakes = [
      { pointer: "/value", message: "m" },
      { pointer: "/groupBy/x", message: "m" },
    ];
    const failing = () => Promise.reject(new MeterbookError("METER_REQUEST_INVALID", "no", { mistakes }));
    await expect(inWireWords(V3_METER_NAMES, failing)).rejects.toMatchObject({
      code: "METER_REQUEST_INVALID",
      mistakes: [{ pointer: "/value_property" }, { pointer: "/dimensions/x" }],
    });
  });
});

describe("a meter over v3", () => {
  const sent = {
    key: "tokens_total",
    name: "Tokens",
    event_type: "prompt",
    aggregation: "unique_count",
    value_property: "$.tokens",
    dimensions: { model: "$.model" },
    labels: { team: "x" },
    events_from: "2025-01-01T00:00:00Z",
  };

  it("is the same meter in other words", () => {
    const v1 = { ...tokens, name: "Tokens", aggregation: "UNIQUE_COUNT", groupBy: { model: "$.model" } };
    expect(v3MeterDraft(v3MeterCreate.parse(sent))).toEqual(
      draftOf({ ...v1, metadata: { team: "x" }, eventFrom: "2025-01-01T00:00:00Z" }),
    );
  });

  it("is shown in v3's words", () => {
    const shown = v3ShownMeter(meterView({ aggregate: "unique", metadata: { team: "x" }, eventFrom: T0 }));
    expect(shown).toMatchObject({ ...sent, events_from: "2025-01-01T00:00:00.000Z" });
    expect(shown).not.toHaveProperty("slug");
  });

  it("says mistakes in v3's words", () => {
    expect(pointers(() => v3MeterDraft(v3MeterCreate.parse({ ...sent, value_property: undefined })))).toEqual([
      "/value_property",
    ]);
    expect(pointers(() => v3MeterPatch({ dimensions: { a: "b" } }))).toEqual(["/dimensions/a"]);
  });

  it("does not take v1's upper case", () => {
    expect(v3MeterCreate.safeParse({ ...sent, aggregation: "SUM" }).success).toBe(false);
  });
});
