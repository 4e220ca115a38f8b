import { expect, it } from "vitest";

import type { MeterTypeDraft } from "../../../src/core/meter-type.ts";
import { closePeriods } from "../../../src/engine/periods/close-periods.ts";
import { listBuckets } from "../../../src/engine/periods/buckets.ts";
import { provision } from "../../../src/engine/periods/provision.ts";
import { purgeBuckets } from "../../../src/engine/periods/purge-buckets.ts";
import { onBothStores } from "../both-stores.ts";
import {
  FEBRUARY,
  gpt,
  JANUARY_10,
  LATENESS,
  llama,
  MARCH,
  ruleOf,
  session,
  sessions,
  stream,
  type Stream,
} from "./metered-stream.ts";

const JANUARY_20 = Date.parse("2026-01-20T00:00:00Z");
const finals = async ({ records }: Stream): Promise<readonly string[]> =>
  (await records()).flatMap(({ kind, periodStart, value, revision }) =>
    kind === "threshold" ? [] : [`${periodStart.slice(0, 10)} ${kind} ${revision}: ${value}`],
  );
const purge = async ({ desk, catalog }: Stream) =>
  purgeBuckets(desk(), {}, { dryRun: false, catalog: await catalog(), sinks: [] });

onBothStores("at the edges of periods", (make) => {
  it("a threshold that was reached while the period before waited for late records is told when the meter moves on", async () => {
    const full: MeterTypeDraft = { ...llama, thresholds: [{ name: "full", absoluteValue: "100" }] };
    const parts = await stream(await make(), { types: [full] });
    const { clock, send, close, records } = parts;
    clock.set(FEBRUARY + LATENESS - 60_000);
    await send(session("a", { apiCalls: 150, timestamp: "2026-02-01T00:01:00Z" }));
    await close();
    clock.set(FEBRUARY + LATENESS);
    expect((await close(["archive"])).thresholds).toBe(1);
    const told = (await records()).filter(({ kind }) => kind === "threshold");
    expect(told.map(({ periodStart, value, sinks }) => [periodStart, value, sinks.length])).toEqual([
      ["2026-02-01T00:00:00.000Z", "150", 1],
    ]);
    expect((await close()).thresholds).toBe(0);
  });

  it("one record that reaches all thresholds tells each of them, and no correction takes one back or tells it twice", async () => {
    const type: MeterTypeDraft = {
      ...llama,
      capacity: "100",
      thresholds: [
        { name: "near", capacityPercentage: "90" },
        { name: "full", capacityPercentage: "100" },
      ],
    };
    const { clock, send, close, records } = await stream(await make(), { types: [type] });
    clock.set(JANUARY_20);
    await send(session("a", { apiCalls: 100 }));
    const told = (await records()).map(({ thresholds }) => thresholds.map(({ name }) => name).join());
    expect(told.toSorted()).toEqual(["full", "near"]);
    await send(session("b", { apiCalls: 100 }));
    expect((await close()).thresholds).toBe(0);
  });

  it("a meter counts only while its own type is active, whatever other meters of the category are", async () => {
    const ending: MeterTypeDraft = { ...llama, name: "Ending", activeTo: Date.parse("2026-01-14T00:00:00Z") };
    const parts = await stream(await make(), { types: [ending, llama] });
    parts.clock.set(JANUARY_20);
    await parts.send(session("a", { timestamp: "2026-01-13T00:00:00Z" }), session("b"));
    parts.clock.set(FEBRUARY + LATENESS);
    await parts.close();
    const told = (await parts.records()).map(({ meterTypeName, value }) => `${meterTypeName} ${value}`);
    expect(told.toSorted()).toEqual(["Ending 10", "L1_Llama3 20"]);
  });

  it("purging tells no periods behind the last one that counted", async () => {
    const parts = await stream(await make(), { types: [llama, gpt] });
    parts.clock.set(JANUARY_20);
    await parts.send(session("a"), session("b", { timestamp: "2026-01-19T00:00:00Z" }));
    parts.clock.set(Date.parse("2026-03-20T00:00:00Z"));
    await parts.send(session("c", { timestamp: "2026-03-10T00:00:00Z" }));
    parts.clock.set(Date.parse("2026-09-20T00:00:00Z"));
    const ask = { catalog: await parts.catalog(), sinks: [] };
    expect(await purgeBuckets(parts.desk(), {}, { dryRun: true, ...ask })).toMatchObject({
      meters: 2,
      finalRecords: 1,
    });
    expect(await purge(parts)).toMatchObject({ meters: 2, finalRecords: 3 });
    expect((await finals(parts)).toSorted()).toEqual([
      "2026-01-10 final 1: 20",
      "2026-02-01 final 1: 0",
      "2026-03-01 final 1: 10",
    ]);
  });

  it("purging makes the final records of ended periods first", async () => {
    const parts = await stream(await make(), { types: [llama] });
    parts.clock.set(JANUARY_20);
    await parts.send(session("a"));
    parts.clock.set(FEBRUARY + 1);
    expect(await purge(parts)).toMatchObject({ meters: 1, finalRecords: 1 });
    expect(await finals(parts)).toEqual(["2026-01-10 final 1: 10"]);
    expect(await purge(parts)).toMatchObject({ meters: 0, finalRecords: 0 });
  });

  it("what a deleted meter told is not told again by the next one, whoever makes it", async () => {
    const first = ruleOf("l1", { createOnFirstUse: "L1_Llama3" });
    const guide = { ...sessions, rules: [first] };
    const parts = await stream(await make(), { guide, types: [llama], users: [] });
    const { clock, send, close, store, desk } = parts;
    clock.set(JANUARY_20);
    await send(session("a"));
    clock.set(FEBRUARY + LATENESS);
    await close();
    await purge(parts);
    // The stream sends it all again, and a late record comes with it: the first is no news, the other one a correction.
    expect(await send(session("a"), session("late"))).toMatchObject({ stored: 1, suspended: 0, metersCreated: 0 });
    expect(await listBuckets(store)).toEqual([]);
    await close();
    expect((await finals(parts)).toSorted()).toEqual(["2026-01-15 correction 2: 20", "2026-01-15 final 1: 10"]);
    const buckets = [{ userId: "FinTech", meterType: "L1_Llama3", guide: "botbot", since: JANUARY_10 }];
    await provision(desk(), { meterTypes: [llama], guides: [guide], buckets }, { dryRun: false });
    expect((await listBuckets(store)).map(({ since }) => since)).toEqual([FEBRUARY]);
    await close();
    expect(await finals(parts)).toHaveLength(2);
  });

  it("a rule that was taken out counts no more, and what it counted stays in the figures", async () => {
    const parts = await stream(await make(), { types: [llama, gpt] });
    const { clock, send, close, desk } = parts;
    clock.set(JANUARY_20);
    await send(session("a"));
    clock.set(FEBRUARY + LATENESS);
    await close();
    await send(session("b", { timestamp: "2026-02-01T00:02:00Z" }));
    const [, l2] = sessions.rules;
    if (l2 === undefined) throw new Error("expected two rules");
    const guide = { ...sessions, rules: [{ ...l2, groupBy: [["data.caseNumber"]] }] };
    const wanted = { meterTypes: [llama, gpt], guides: [guide], buckets: [] };
    clock.set(FEBRUARY + 10 * LATENESS);
    await provision(desk(), wanted, { dryRun: false });
    const again = await provision(desk(), wanted, { dryRun: false });
    expect(new Set(again.map(({ change }) => change))).toEqual(new Set(["keep"]));
    clock.advance(60_000);
    await send(session("c", { timestamp: "2026-02-01T00:51:00Z" }));
    expect((await close()).corrections).toBe(0);
    clock.set(MARCH + LATENESS);
    await close();
    const told = (await parts.records()).filter(({ category }) => category === "L1_API_Requests");
    expect(told.map(({ kind, value }) => `${kind} ${value}`)).toEqual(["final 10", "final 10"]);
  });

  it("a rule keeps its category: another one would take the figures along", async () => {
    const { desk } = await stream(await make(), { types: [llama, gpt] });
    const moved = { ...sessions, rules: [ruleOf("l1", { category: "L2_API_Requests" })] };
    const wanted = { meterTypes: [llama, gpt], guides: [moved], buckets: [] };
    await expect(provision(desk(), wanted, { dryRun: true })).rejects.toMatchObject({ code: "METER_CONFLICT" });
  });

  it("no period is closed before it is over, whatever is asked for", async () => {
    const { store, clock, catalog } = await stream(await make());
    clock.set(JANUARY_20);
    const until = MARCH;
    const ask = { store, catalog: await catalog(), now: clock.now(), until, latenessMs: LATENESS, sinks: [] };
    expect((await closePeriods(ask)).final).toBe(0);
  });
});

onBothStores("after a standstill of 14 months", (make) => {
  it("every period gets its record, in its own zone, across both changes of clocks", async () => {
    const daily: MeterTypeDraft = {
      ...llama,
      resetSchedule: { hour: "2", minute: "30" },
      timezone: "Europe/Berlin",
    };
    const parts = await stream(await make(), { types: [daily] });
    const { clock, send, close, records } = parts;
    clock.set(Date.parse("2027-03-20T00:00:00Z"));
    await send(
      session("a", { timestamp: "2026-03-29T00:59:59.999Z" }),
      session("b", { timestamp: "2026-10-25T01:00:00Z" }),
    );
    await close();
    const all = (await records()).filter(({ kind }) => kind === "final");
    const days = all.map(({ periodStart, periodEnd }) => [periodStart, periodEnd] as const);
    expect(all.length).toBeGreaterThan(420);
    expect(days.slice(1).every(([start], at) => start === days[at]?.[1])).toBe(true);
    expect(all.filter(({ value }) => value !== "0").map(({ periodEnd, value }) => [periodEnd, value])).toEqual([
      ["2026-03-29T01:00:00.000Z", "10"],
      ["2026-10-26T01:30:00.000Z", "10"],
    ]);
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
  });
});

onBothStores("extremes", (make) => {
  it("of negative values are what they are, and of nothing are 0", async () => {
    const guide = { ...sessions, allowNegative: true };
    const types: readonly MeterTypeDraft[] = [
      { ...llama, name: "least", aggregation: "min" },
      { ...llama, name: "most", aggregation: "max" },
    ];
    const { clock, send, close, records } = await stream(await make(), { guide, types });
    clock.set(JANUARY_20);
    await send(session("a", { apiCalls: "-5.5" }), session("b", { apiCalls: -2 }));
    clock.set(MARCH + LATENESS);
    await close();
    const told = (await records()).map(
      ({ meterTypeName, value, records: count }) => `${meterTypeName} ${value} of ${count}`,
    );
    expect(told.toSorted()).toEqual(["least -5.5 of 2", "least 0 of 0", "most -2 of 2", "most 0 of 0"]);
  });
});
