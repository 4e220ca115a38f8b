import { expect, it } from "vitest";

import { bucketFold } from "../../../src/core/bucket-fold.ts";
import { eventPages, countedValues } from "../../../src/engine/ingest/refold.ts";
import { settle } from "../../../src/engine/ingest/amended-event.ts";
import { labelValues } from "../../../src/engine/usage/label-values.ts";
import { queryMeter } from "../../../src/engine/usage/meter-query.ts";
import type { MeterAnswer } from "../../../src/engine/usage/meter-question.ts";
import { onQuarterStores } from "./quarter-stores.ts";
import { asked, at, attributionOf, catalogWith, customerOf, meterOf, sent, type Asked } from "./usage-world.ts";

const day = { unit: "day", count: 1 } as const;
const hour = { unit: "hour", count: 1 } as const;
const month = { unit: "month", count: 1 } as const;
const byModel = meterOf({ groupBy: { model: "data.model" } });

function brief({ rows }: MeterAnswer): readonly unknown[] {
  return rows.map(({ from, value, subject, customer, group }) => [
    new Date(from).toISOString().slice(0, 16),
    ...[customer, subject].filter((name) => name !== null),
    ...Object.values(group),
    value,
  ]);
}

/** Deletes all stored events and keeps their usage. */
async function purgeAll({ store, catalog }: Asked): Promise<void> {
  const fold = bucketFold();
  const seqs: number[] = [];
  for await (const page of eventPages(store)) {
    for (const stored of page) {
      fold.add(countedValues(settle(catalog, stored), stored.seq, catalog, store.bucketMs));
      seqs.push(stored.seq);
    }
  }
  expect(await store.purge(seqs, fold.buckets(), 0)).toBe(seqs.length);
}

onQuarterStores("a question about a meter", (make) => {
  it("is answered from buckets where windows do not cut them", async () => {
    const { ask, take } = asked(await make(), catalogWith(byModel));
    await take(
      sent("2027-01-31T23:59:59Z", { n: 1, model: "a" }),
      sent("2027-02-01T00:00:00Z", { n: "0.1", model: "a" }),
      sent("2027-02-01T05:00:00Z", { n: "0.2", model: "b" }),
      sent("2027-02-02T05:00:00Z", { n: 4, model: "b" }),
    );
    const bounds = { from: at("2027-02-01T00:00:00Z"), to: at("2027-03-01T00:00:00Z") };
    const byDay = await ask({ ...bounds, window: day });
    expect(brief(byDay)).toEqual([
      ["2027-02-01T00:00", "0.3"],
      ["2027-02-02T00:00", "4"],
    ]);
    expect(byDay).toMatchObject({ ...bounds, meter: "usage", eventsRead: 0 });
    expect(brief(await ask({ ...bounds, window: month, groupBy: ["model"] }))).toEqual([
      ["2027-02-01T00:00", "a", "0.1"],
      ["2027-02-01T00:00", "b", "4.2"],
    ]);
    const total = await ask(bounds);
    expect(total.rows).toEqual([{ ...bounds, value: "4.3", events: 3, subject: null, customer: null, group: {} }]);
  });

  it("reads events only of the buckets that a bound cuts", async () => {
    const { ask, take } = asked(await make(), catalogWith(byModel));
    await take(
      ...Array.from({ length: 60 }, (_, minute) => sent(at("2027-02-01T10:00:00Z") + minute * 60_000, { n: 1 })),
    );
    const answer = await ask({ from: at("2027-02-01T10:07:00Z"), to: at("2027-02-01T10:46:30Z") });
    expect(answer.rows.map(({ value }) => value)).toEqual(["40"]);
    expect(answer.eventsRead).toBe(10);
    const minutes = await ask({
      from: at("2027-02-01T10:07:00Z"),
      to: at("2027-02-01T10:46:30Z"),
      window: { unit: "minute", count: 5 },
    });
    expect(minutes.rows.map(({ value }) => value)).toEqual(["3", "5", "5", "5", "5", "5", "5", "5", "2"]);
    expect(minutes.rows[0]).toMatchObject({ from: at("2027-02-01T10:05:00Z"), to: at("2027-02-01T10:10:00Z") });
  });

  it("tells how far it is while it reads events, and waits for who is told", async () => {
    const { store, catalog, attribution, take } = asked(await make(), catalogWith(byModel));
    const start = at("2027-02-01T10:00:00Z");
    await take(...Array.from({ length: 4_500 }, (_, place) => sent(start + place * 100, { n: 1 })));
    const told: { readonly read: number; readonly total: number }[] = [];
    let isTelling = false;
    const question = {
      meter: "usage",
      window: { unit: "minute", count: 1 },
      zone: "UTC",
      groupBy: [],
      fill: false,
    } as const;
    const answer = await queryMeter(store, catalog, attribution, question, async (progress) => {
      expect(isTelling).toBe(false);
      isTelling = true;
      await Promise.resolve();
      told.push(progress);
      isTelling = false;
    });
    expect(answer.eventsRead).toBe(4_500);
    expect(told.map(({ read }) => read)).toEqual([0, 2_000, 4_000, 4_500, 4_500]);
    expect(new Set(told.map(({ total }) => total))).toEqual(new Set([4_500]));
  });

  it("filters and groups by subject, whoever pays", async () => {
    const attribution = attributionOf(customerOf("c1", "acme", ["phone", "laptop"]), customerOf("c2", "beta", ["car"]));
    const { ask, take } = asked(await make(), catalogWith(byModel), attribution);
    const time = "2027-02-01T10:00:00Z";
    await take(
      sent(time, { n: 1 }, { subject: "phone", company: "acme" }),
      sent(time, { n: 2 }, { subject: "laptop", company: "acme" }),
      sent(time, { n: 4 }, { subject: "acme" }),
      sent(time, { n: 8 }, { subject: "car", company: "beta" }),
      sent(time, { n: 16 }, { subject: "stranger" }),
      sent(time, { n: 32 }, { subject: "phone" }),
    );
    const from = at("2027-02-01T00:00:00Z");
    const bounds = { from, to: from + 86_400_000 };
    const first = "2027-02-01T00:00";
    expect(brief(await ask({ ...bounds, subjects: ["phone", "car", "nobody"] }))).toEqual([
      [first, "car", "8"],
      [first, "phone", "33"],
    ]);
    expect(brief(await ask({ ...bounds, customers: ["acme"] }))).toEqual([[first, "c1", "39"]]);
    expect(brief(await ask({ ...bounds, groupBy: ["customer"] }))).toEqual([
      [first, "16"],
      [first, "c1", "39"],
      [first, "c2", "8"],
    ]);
    expect(brief(await ask({ ...bounds, customers: ["c1", "c2"], subjects: ["phone", "car"], window: day }))).toEqual([
      [first, "c1", "phone", "33"],
      [first, "c2", "car", "8"],
    ]);
    expect(brief(await ask({ ...bounds, filters: { subject: { like: "%a_" } }, groupBy: ["subject"] }))).toEqual([
      [first, "car", "8"],
    ]);
    expect(
      await labelValues(asked(await make(), catalogWith(byModel)).store, catalogWith(byModel), {
        meter: "usage",
        label: "subject",
        ...bounds,
        limit: 9,
      }),
    ).toEqual([]);
  });

  it("fills empty windows with zero, or with nothing where there is no figure", async () => {
    const store = await make();
    const meters = [
      byModel,
      meterOf({ key: "greatest", aggregate: "max" }),
      meterOf({ key: "mean", aggregate: "avg" }),
    ];
    const { ask, take } = asked(store, catalogWith(...meters));
    await take(sent("2027-03-28T12:00:00Z", { n: 3, model: "a" }), sent("2027-03-28T12:30:00Z", { n: 4, model: "b" }));
    const days = {
      from: at("2027-03-26T23:00:00Z"),
      to: at("2027-03-29T22:00:00Z"),
      zone: "Europe/Berlin",
      window: day,
      fill: true,
    };
    const figures = async (question: object): Promise<unknown> =>
      (await ask({ ...days, ...question })).rows.map(({ value }) => value);
    expect(await figures({})).toEqual(["0", "7", "0"]);
    expect(await figures({ meter: "greatest" })).toEqual([null, "4", null]);
    expect(await figures({ meter: "mean" })).toEqual([null, "3.5", null]);
    expect(await figures({ groupBy: ["model"] })).toEqual(["0", "0", "3", "4", "0", "0"]);
    expect(await figures({ subjects: ["acme", "none"] })).toEqual(["0", "0", "7", "0", "0", "0"]);
    expect(await figures({ from: at("2027-04-01T00:00:00Z"), to: at("2027-04-01T02:00:00Z"), window: hour })).toEqual([
      "0",
      "0",
    ]);
    const open = await ask({ zone: "Europe/Berlin", window: hour, fill: true });
    expect(open.rows.map(({ value }) => value)).toEqual(["7"]);
  });

  it("answers 0 for how many there were of nothing, and no row for other figures", async () => {
    const store = await make();
    const meters = (["count", "unique", "sum", "min", "max", "avg", "latest"] as const).map((aggregate) =>
      meterOf({
        key: aggregate,
        aggregate,
        value: aggregate === "count" ? null : "data.n",
        groupBy: { model: "data.model" },
      }),
    );
    const { ask } = asked(store, catalogWith(...meters));
    const bounds = { from: 0, to: 3_600_000 };
    for (const { key } of meters) {
      const isCounted = key === "count" || key === "unique";
      expect((await ask({ ...bounds, meter: key })).rows.map(({ value }) => value)).toEqual(isCounted ? ["0"] : []);
      expect((await ask({ ...bounds, meter: key, groupBy: ["model"] })).rows).toEqual([]);
      expect((await ask({ ...bounds, meter: key, window: hour })).rows).toEqual([]);
      expect((await ask({ meter: key })).rows).toEqual([]);
    }
  });

  it("takes the latest value by event time, then arrival, and different texts once, across all buckets", async () => {
    const store = await make();
    const meters = [
      meterOf({ key: "last", aggregate: "latest" }),
      meterOf({ key: "texts", aggregate: "unique", value: "data.text" }),
    ];
    const { ask, take } = asked(store, catalogWith(...meters));
    await take(sent("2027-02-03T10:00:00Z", { n: 9, text: "x" }, { subject: "late" }));
    await take(sent("2027-02-01T10:00:00Z", { n: 1, text: "x" }), sent("2027-02-03T10:00:00Z", { n: 2, text: "y" }));
    await take(sent("2027-02-03T09:00:00Z", { n: 3, text: "y" }));
    const bounds = { from: at("2027-02-01T00:00:00Z"), to: at("2027-03-01T00:00:00Z") };
    for (const window of [null, month, day]) {
      const last = (await ask({ ...bounds, window, meter: "last" })).rows.at(-1);
      expect(last?.value).toBe("2");
      const texts = (await ask({ ...bounds, window, meter: "texts" })).rows;
      expect(texts.map(({ value }) => value)).toEqual(window === day ? ["1", "2"] : ["2"]);
    }
  });

  it("states the first and last minute with usage where the question has no bounds", async () => {
    const world = asked(await make(), catalogWith(byModel));
    const { ask, take } = world;
    await take(
      sent("2027-02-01T10:07:30Z", { n: 1, model: "a" }),
      sent("2027-02-01T10:03:30Z", { n: 2, model: "b" }),
      sent("2027-02-09T23:58:59Z", { n: 4, model: "a" }),
      sent("2027-02-09T23:59:00Z", { n: 8, model: "b" }),
    );
    const a = await ask({ filters: { model: { eq: "a" } } });
    expect(a.rows).toMatchObject([{ from: at("2027-02-01T10:07:00Z"), to: at("2027-02-09T23:59:00Z"), value: "5" }]);
    const from = at("2027-02-01T10:05:00Z");
    expect((await ask({ from })).rows).toMatchObject([{ from, to: at("2027-02-10T00:00:00Z"), value: "13" }]);
    await purgeAll(world);
    expect((await ask({ filters: { model: { eq: "a" } } })).rows).toMatchObject([
      { from: at("2027-02-01T10:00:00Z"), to: at("2027-02-10T00:00:00Z"), value: "5" },
    ]);
  });

  it("puts purged usage where its bucket begins, each unit once", async () => {
    const world = asked(await make(), catalogWith(byModel));
    const { ask, take } = world;
    const start = at("2027-02-01T10:00:00Z");
    await take(...Array.from({ length: 30 }, (_, minute) => sent(start + minute * 60_000, { n: 1 })));
    await purgeAll(world);
    await take(sent("2027-02-01T10:10:00Z", { n: 100 }));
    const window = { unit: "minute", count: 5 } as const;
    expect(brief(await ask({ window }))).toEqual([
      ["2027-02-01T10:00", "15"],
      ["2027-02-01T10:10", "100"],
      ["2027-02-01T10:15", "15"],
    ]);
    const cut = await ask({ from: start + 6 * 60_000, to: start + 20 * 60_000, window });
    // The bucket begins before the bound, so its usage is the neighbour's: two questions side by side add up.
    expect(brief(await ask({ to: start + 6 * 60_000, window }))).toEqual([["2027-02-01T10:00", "15"]]);
    expect(brief(cut)).toEqual([
      ["2027-02-01T10:10", "100"],
      ["2027-02-01T10:15", "15"],
    ]);
  });

  it("knows the labels of earlier versions as stored, and tells the texts of a label", async () => {
    const store = await make();
    const plain = { fields: {}, unknownIdentity: "hold" } as const;
    const versions = [
      { definition: byModel, version: 1, effectiveFrom: 0, ...plain },
      {
        definition: meterOf({ groupBy: { region: "data.region" } }),
        version: 2,
        effectiveFrom: at("2027-02-02T00:00:00Z"),
        ...plain,
      },
    ];
    await store.addMeterVersions(versions, 0);
    const { compileCatalog } = await import("../../../src/core/catalog.ts");
    const catalog = compileCatalog({ versions, fields: {}, unknownIdentity: "hold" });
    const { ask, take } = asked(store, catalog);
    await take(
      sent("2027-02-01T10:00:00Z", { n: 1, model: "b", region: "eu" }),
      sent("2027-02-01T11:00:00Z", { n: 2, model: "a", region: "eu" }),
      sent("2027-02-03T10:00:00Z", { n: 4, model: "a", region: "us" }),
    );
    const bounds = { from: at("2027-02-01T00:00:00Z"), to: at("2027-03-01T00:00:00Z") };
    const rows = async (label: string): Promise<unknown> =>
      (await ask({ ...bounds, groupBy: [label] })).rows.map(({ group, value }) => [group[label], value]);
    expect(await rows("model")).toEqual([
      ["", "4"],
      ["a", "2"],
      ["b", "1"],
    ]);
    expect(await rows("region")).toEqual([
      ["", "3"],
      ["us", "4"],
    ]);
    expect(await labelValues(store, catalog, { meter: "usage", label: "model", ...bounds, limit: 9 })).toEqual([
      "a",
      "b",
    ]);
    expect(await labelValues(store, catalog, { meter: "usage", label: "model", ...bounds, limit: 1 })).toEqual(["a"]);
    expect(await labelValues(store, catalog, { meter: "usage", label: "subject", ...bounds, limit: 9 })).toEqual([
      "acme",
    ]);
    await expect(
      labelValues(store, catalog, { meter: "usage", label: "zone", ...bounds, limit: 9 }),
    ).rejects.toMatchObject({
      code: "METER_REQUEST_INVALID",
      mistakes: [{ pointer: "/label" }],
    });
  });

  it("is refused with the places of all its mistakes", async () => {
    const { ask } = asked(await make(), catalogWith(byModel));
    await expect(ask({ meter: "usge" })).rejects.toMatchObject({
      code: "METER_NOT_FOUND",
      message: expect.stringContaining('"usage"'),
    });
    const wrong = {
      from: 5,
      to: 5,
      window: { unit: "minute", count: 7 },
      groupBy: ["model", "modle"],
      filters: { "a/b": { eq: "x" } },
      customers: ["nobody"],
    } as const;
    const refused = await ask(wrong).then(
      () => null,
      (error: unknown) => error,
    );
    expect(refused).toMatchObject({ code: "METER_REQUEST_INVALID" });
    expect(refused).toMatchObject({
      mistakes: ["/to", "/window", "/groupBy/1", "/filters/a~1b", "/customers/0"].map((pointer) => ({ pointer })),
    });
    await expect(
      ask({ from: 0, to: 86_400_000 * 3_650, window: { unit: "minute", count: 1 }, fill: true }),
    ).rejects.toMatchObject({
      mistakes: [{ pointer: "/window" }],
    });
    const many = Array.from({ length: 1_001 }, () => ({ eq: "x" }));
    await expect(ask({ filters: { model: { or: many } } })).rejects.toMatchObject({
      mistakes: [{ pointer: "/filters" }],
    });
  });
});
