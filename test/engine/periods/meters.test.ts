import { expect, it } from "vitest";

import { createBucket, listBuckets, updateBucket } from "../../../src/engine/periods/buckets.ts";
import { bucketStanding } from "../../../src/engine/periods/bucket-standing.ts";
import { createMeterType, deleteMeterType, updateMeterType } from "../../../src/engine/periods/meter-types.ts";
import { provision } from "../../../src/engine/periods/provision.ts";
import { createMeter } from "../../../src/engine/meters/create-meter.ts";
import { deleteMeter } from "../../../src/engine/meters/delete-meter.ts";
import { listMeters } from "../../../src/engine/meters/meter-views.ts";
import { loadCatalog } from "../../../src/engine/ingest/catalog-versions.ts";
import { deskOf } from "../registry-desk.ts";
import { purgeBuckets } from "../../../src/engine/periods/purge-buckets.ts";
import { countSuspended, listSuspended, replayRecord } from "../../../src/engine/periods/suspense.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { onBothStores } from "../both-stores.ts";
import { FEBRUARY, gpt, JANUARY_10, LATENESS, llama, ruleOf, session, sessions, stream } from "./metered-stream.ts";

const JANUARY_20 = Date.parse("2026-01-20T00:00:00Z");

onBothStores("customers' meters", (make) => {
  it("keep the type that they were made with; a changed one is for meters made later", async () => {
    const { store, desk } = await stream(await make(), { users: [["FinTech", "L1_Llama3"]] });
    await updateMeterType(desk(), "L1_Llama3", { unit: "call" });
    await createBucket(desk(), { userId: "Cloud AI", meterType: "L1_Llama3", guide: "botbot" });
    const units = (await listBuckets(store)).map(({ userId, type }) => [userId, type.unit]);
    expect(new Map(units as [string, string][])).toEqual(
      new Map([
        ["FinTech", "API request"],
        ["Cloud AI", "call"],
      ]),
    );
  });

  it("are one for a user, type and guide, and their type stays as long as they do", async () => {
    const { desk, catalog } = await stream(await make());
    const again = createBucket(desk(), { userId: "FinTech", meterType: "L1_Llama3", guide: "botbot" });
    await expect(again).rejects.toMatchObject({ code: "METER_CONFLICT" });
    await expect(createMeterType(desk(), llama)).rejects.toMatchObject({ code: "METER_CONFLICT" });
    await expect(deleteMeterType(desk(), "L1_Llama3")).rejects.toMatchObject({ code: "METER_CONFLICT" });
    const nowhere = createBucket(desk(), { userId: "FinTech", meterType: "L1_Llama3", guide: "other" });
    await expect(nowhere).rejects.toMatchObject({ code: "METER_NOT_FOUND" });
    await purgeBuckets(desk(), {}, { dryRun: false, catalog: await catalog(), sinks: [] });
    await deleteMeterType(desk(), "L1_Llama3");
  });

  it("go after their final record where that is wanted", async () => {
    const { store, clock, desk, close } = await stream(await make());
    const [first] = await listBuckets(store, { meterType: "L1_Llama3" });
    await updateBucket(desk(), first?.id ?? "", { deleteOnReset: true });
    clock.set(FEBRUARY + LATENESS);
    expect(await close()).toMatchObject({ final: 2, deleted: 1 });
    expect((await listBuckets(store)).map(({ type }) => type.name)).toEqual(["L2_GPT4o"]);
  });

  it("count by each aggregation: sum, increment, min and max of the same records", async () => {
    const types = (["sum", "increment", "min", "max"] as const).map((aggregation) => ({
      ...llama,
      name: aggregation,
      aggregation,
    }));
    const { store, clock, send, catalog } = await stream(await make(), { types });
    clock.set(JANUARY_20);
    await send(session("a", { apiCalls: 7 }), session("b", { apiCalls: "2.25" }), session("c", { apiCalls: 40 }));
    const standings = await Promise.all(
      (await listBuckets(store)).map(async ({ id }) => bucketStanding(store, await catalog(), id)),
    );
    expect(standings.map(({ type, value, records }) => `${type.name} ${value} of ${records}`).toSorted()).toEqual([
      "increment 3 of 3",
      "max 40 of 3",
      "min 2.25 of 3",
      "sum 49.25 of 3",
    ]);
  });

  it("are made on first use where the guide says so, from the first record on", async () => {
    const first = ruleOf("l1", { createOnFirstUse: "L1_Llama3" });
    const options = { guide: { ...sessions, rules: [first] }, types: [llama], users: [] };
    const { store, clock, send, close, records } = await stream(await make(), options);
    clock.set(JANUARY_20);
    expect(await send(session("a"), session("b", { timestamp: "2026-01-12T00:00:00Z" }))).toMatchObject({
      metersCreated: 1,
      suspended: 0,
    });
    expect(await send(session("c"))).toMatchObject({ metersCreated: 0 });
    expect((await listBuckets(store)).map(({ periodStart }) => periodStart)).toEqual([
      Date.parse("2026-01-12T00:00:00Z"),
    ]);
    clock.set(FEBRUARY + LATENESS);
    await close();
    expect((await records()).map(({ value }) => value)).toEqual(["30"]);
  });

  it("are made on first use also by a record that was put right", async () => {
    const first = ruleOf("l1", { createOnFirstUse: "L1_Llama3" });
    const options = { guide: { ...sessions, rules: [first] }, types: [llama], users: [] };
    const { clock, desk, catalog, send, close, records } = await stream(await make(), options);
    clock.set(JANUARY_20);
    await send(session("a", { region: "?" }));
    const order = { id: "a", set: [{ path: "data.region", text: "EMEA" }], cause: "no region" };
    await replayRecord(desk(), await catalog(), { ...order, dryRun: true });
    expect(await listBuckets(desk().store)).toEqual([]);
    await replayRecord(desk(), await catalog(), { ...order, dryRun: false });
    expect(await send(session("b", { timestamp: "2026-01-16T00:00:00Z" }))).toMatchObject({ metersCreated: 0 });
    clock.set(FEBRUARY + LATENESS);
    await close();
    expect((await records()).map(({ value }) => value)).toEqual(["20"]);
  });

  it("count by meters that are the guide's: neither the API nor the configuration changes them", async () => {
    const { store, clock, desk } = await stream(await make());
    const tools = { ...deskOf(store), clock };
    const meter = (await listMeters({ store }, { includeDeleted: false })).find(({ key }) => key === "botbot_l1_sum");
    expect(meter).toMatchObject({ origin: "guide", deletedAt: null });
    const author = "test";
    const refused = { code: "METER_CONFLICT", message: expect.stringContaining("counts the records of a guide") };
    await expect(deleteMeter(tools, { idOrKey: "botbot_l1_sum", author })).rejects.toMatchObject(refused);
    const draft = { key: "botbot_l1_sum", eventType: "x", aggregate: "sum", value: "data.x" } as const;
    await expect(createMeter(tools, { draft, author })).rejects.toMatchObject({ code: "METER_CONFLICT" });
    const settings = { meters: [], fields: {}, identity: { unknown: "hold" } } as const;
    const before = await store.meterVersions();
    await loadCatalog(store, settings, clock.now(), { adopt: true });
    expect(await store.meterVersions()).toEqual(before);
    const [version] = before;
    if (version === undefined) throw new Error("expected meters");
    const definition = { ...version.definition, key: "other_records" };
    await store.addMeterVersions([{ ...version, definition, origin: "api" }], before.length);
    const guides = [{ ...sessions, key: "other" }];
    const clash = provision(desk(), { meterTypes: [], guides, buckets: [] }, { dryRun: false });
    await expect(clash).rejects.toMatchObject({ code: "METER_CONFLICT" });
  });

  it("of a type with an aggregation that the guide had not yet count what was suspended before, once it is replayed", async () => {
    const { store, clock, desk, catalog, send } = await stream(await make(), { types: [gpt] });
    clock.set(JANUARY_20);
    expect(await send(session("a"), session("b"))).toMatchObject({ suspended: 2 });
    await createMeterType(desk(), { ...llama, name: "Greatest", aggregation: "max" });
    const since = JANUARY_10;
    const made = await createBucket(desk(), { userId: "FinTech", meterType: "Greatest", guide: "botbot", since });
    const waiting = await listSuspended(desk(), { guide: "botbot", limit: 10 });
    expect(waiting.records.map(({ id, reason, problems }) => [id, reason, problems])).toEqual([
      ["b", "no_meter", []],
      ["a", "no_meter", []],
    ]);
    await replayRecord(desk(), await catalog(), { id: "a", set: [], cause: "there is a meter now", dryRun: false });
    expect(await bucketStanding(store, await catalog(), made.id)).toMatchObject({ value: "10", records: 1 });
    const { region: _region, ...rest } = session("b") as Record<string, string>;
    expect(await send({ ...rest, region: "EMEA" })).toMatchObject({ duplicates: 1, conflicts: 0 });
    expect(await countSuspended(store, null)).toEqual([{ reason: "no_meter", records: 1 }]);
    expect((await verify(store, await catalog())).differences).toEqual([]);
  });

  it("are purged without what was billed of them, and a dry run deletes none", async () => {
    const { store, clock, desk, send, close, records, catalog } = await stream(await make());
    clock.set(JANUARY_20);
    await send(session("a"));
    clock.set(FEBRUARY + LATENESS);
    await close();
    expect(
      await purgeBuckets(desk(), { guide: "botbot" }, { dryRun: true, catalog: await catalog(), sinks: [] }),
    ).toMatchObject({
      meters: 2,
      applied: false,
    });
    expect(
      await purgeBuckets(desk(), { meterType: "L1_Llama3" }, { dryRun: false, catalog: await catalog(), sinks: [] }),
    ).toMatchObject({ meters: 1 });
    expect(await purgeBuckets(desk(), {}, { dryRun: false, catalog: await catalog(), sinks: [] })).toMatchObject({
      meters: 1,
    });
    expect(await purgeBuckets(desk(), {}, { dryRun: false, catalog: await catalog(), sinks: [] })).toMatchObject({
      meters: 0,
    });
    expect(await listBuckets(store)).toEqual([]);
    expect(await records()).toHaveLength(2);
    expect((await verify(store, await catalog())).differences).toEqual([]);
    expect(await send(session("b"))).toMatchObject({ suspended: 1 });
  });
});

onBothStores("provisioning", (make) => {
  it("says its plan, makes it, and changes nothing the second time", async () => {
    const { store, desk } = await stream(await make(), { users: [] });
    const wanted = {
      meterTypes: [{ ...llama, unit: "call" }, gpt],
      guides: [{ ...sessions, suspendedMax: 3 }],
      buckets: [{ userId: "FinTech", meterType: "L1_Llama3", guide: "botbot" }],
    };
    const plan = await provision(desk(), wanted, { dryRun: true });
    expect(plan.map(({ what, change }) => [what, change])).toEqual([
      ["meter type", "update"],
      ["meter type", "keep"],
      ["guide", "update"],
      ["meter", "create"],
    ]);
    expect(await listBuckets(store)).toEqual([]);
    expect(await provision(desk(), wanted, { dryRun: false })).toEqual(plan);
    const again = await provision(desk(), wanted, { dryRun: false });
    expect(new Set(again.map(({ change }) => change))).toEqual(new Set(["keep"]));
    expect((await listBuckets(store)).map(({ type }) => type.unit)).toEqual(["call"]);
  });

  it("of a guide with a bound refuses a call with too many bad records as a whole", async () => {
    const { store, clock, send } = await stream(await make(), { guide: { ...sessions, suspendedMax: 1 } });
    clock.set(JANUARY_20);
    const bad = [session("a", { region: "?" }), session("b", { region: "?" })];
    await expect(send(session("c"), ...bad)).rejects.toMatchObject({
      code: "METER_REQUEST_INVALID",
      mistakes: [{ pointer: "/records/1" }, { pointer: "/records/2" }],
    });
    expect((await store.counts()).events).toBe(0);
    expect(await send(session("c"), session("a", { region: "?" }))).toMatchObject({ stored: 2, suspended: 1 });
  });
});
