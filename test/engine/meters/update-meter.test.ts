import { expect, it } from "vitest";

import type { MeterDefinition } from "../../../src/core/meter.ts";
import { purgeExpired } from "../../../src/engine/books/retention.ts";
import { loadCatalog, storedCatalog } from "../../../src/engine/ingest/catalog-versions.ts";
import { createMeter, previewNewMeter } from "../../../src/engine/meters/create-meter.ts";
import { deleteMeter } from "../../../src/engine/meters/delete-meter.ts";
import { getMeter, listMeters } from "../../../src/engine/meters/meter-views.ts";
import type { MeterPatch } from "../../../src/engine/meters/meter-view.ts";
import { updateMeter, type UsesOf } from "../../../src/engine/meters/update-meter.ts";
import { enqueueAll } from "../../../src/testing/store-suite/store-case.ts";
import { onBothStores } from "../both-stores.ts";
import { AUTHOR, type Desk } from "../registry-desk.ts";
import { calls, DAY, HOUR, MINUTE, START } from "../world.ts";
import { metersDesk, MONTH_KEPT, sent, TOKENS } from "./meters-desk.ts";

const change = (desk: Desk, patch: MeterPatch, idOrKey = "tokens_total", uses?: UsesOf) =>
  updateMeter(desk, { idOrKey, patch, author: AUTHOR }, uses);
const end = (desk: Desk, idOrKey = "tokens_total", uses?: UsesOf) =>
  deleteMeter(desk, { idOrKey, author: AUTHOR }, uses);
const conflict = (said: string) => ({ code: "METER_CONFLICT", message: expect.stringContaining(said) });
const call = (tokens: number, model: string, region: string, time = START) =>
  sent("prompt", { tokens, model, region }, { time });

const uses: UsesOf = async (meter) => [{ what: `the feature "${meter}"`, labels: ["model"] }];

function settingsOf(...meters: readonly MeterDefinition[]) {
  return { meters, fields: {}, identity: { unknown: "hold" as const } };
}

const both = (tokens: number, words: number, time: number) => sent("prompt", { tokens, words }, { time });
const hour = (at: number) => call(1, "m1", "eu", START + at * HOUR);

onBothStores("a changed meter of the API", (makeStore) => {
  it("has new labels for the past too, and the same figures", async () => {
    const desk = metersDesk(await makeStore());
    const { take, make, usage, store, assertWhole } = desk;
    await take(call(1, "m1", "eu", START - DAY), call(2, "m1", "us"), call(4, "m2", "eu"));
    const made = await make({ ...TOKENS, eventFrom: START - HOUR });
    desk.clock.advance(DAY);
    const { meter, effect } = await change(desk, { groupBy: { area: "data.region" }, name: "Tokens" });
    expect(effect).toEqual({ events: 2, reportedWindows: 0, from: START, to: START + 1 });
    expect(meter).toEqual({
      ...made.meter,
      name: "Tokens",
      groupBy: { area: "data.region" },
      version: 2,
      updatedAt: START + DAY,
    });
    await take(call(8, "m1", "us", START + 2 * DAY), call(16, "m1", "eu", START - 2 * HOUR));
    expect(await usage("tokens_total", ["area"])).toEqual(["acme eu 4", "acme us 10"]);
    await expect(usage("tokens_total", ["model"])).rejects.toMatchObject({ code: "METER_UNKNOWN_METER" });
    const [, second] = await store.meterVersions();
    const replayed = { author: AUTHOR, cause: "labels changed over the API", at: START + DAY };
    expect(second).toMatchObject({ effectiveFrom: START - HOUR, origin: "api", replayed });
    await assertWhole();
  });

  it("has another name from then on, and no other version for what is only written beside it", async () => {
    const desk = metersDesk(await makeStore());
    const { take, make, usage, store, assertWhole } = desk;
    const made = await make({ ...TOKENS, name: "A", description: "old", metadata: { a: 1 } });
    await take(call(1, "m1", "eu"));
    desk.clock.advance(HOUR);
    const described = await change(desk, { description: null, groupBy: { model: "data.model" } }, made.meter.id);
    expect(described.effect).toBeNull();
    expect(described.meter).toEqual({ ...made.meter, description: null, updatedAt: START + HOUR });
    expect(await store.meterVersions()).toHaveLength(1);
    const renamed = await change(desk, { name: "B", metadata: { b: [2] } });
    expect(renamed.meter).toMatchObject({ name: "B", description: null, metadata: { b: [2] }, version: 2 });
    expect(renamed.meter.eventFrom).toBeNull();
    const versions = await store.meterVersions();
    expect(versions[1]).toMatchObject({ effectiveFrom: START + HOUR, origin: "api" });
    expect(versions[1]?.replayed).toBeUndefined();
    await change(desk, { name: "B" });
    expect(await store.meterVersions()).toHaveLength(2);
    expect(await usage("tokens_total")).toEqual(["acme 1"]);
    const history = await store.entryHistory("meter", made.meter.id);
    expect(history.map(({ revision, author }) => [revision, author])).toEqual([1, 2, 3, 4].map((at) => [at, AUTHOR]));
    await assertWhole();
  });

  it("keeps the groups of usage whose events were deleted", async () => {
    const desk = metersDesk(await makeStore());
    const { take, make, usage, store, assertWhole } = desk;
    await make(TOKENS);
    await take(call(1, "m1", "eu"), call(2, "m1", "us", START + 40 * DAY));
    const catalog = storedCatalog(await store.meterVersions());
    expect(await purgeExpired(store, catalog, MONTH_KEPT, START + 40 * DAY)).toBe(1);
    const { meter, effect } = await change(desk, { groupBy: { area: "data.region" } });
    expect(effect?.events).toBe(1);
    expect(meter.eventFrom).toBeNull();
    expect((await store.meterVersions()).at(-1)?.effectiveFrom).toBe(START + MINUTE);
    expect(await usage("tokens_total", ["area"])).toEqual(["acme us 2", "acme 1"]);
    await assertWhole();
  });

  it("says how many windows of closed usage another judgement changes", async () => {
    const desk = metersDesk(await makeStore());
    const { take, make, store, assertWhole } = desk;
    desk.clock.advance(4 * HOUR);
    await make({ ...TOKENS, report: true });
    await take(...[0, 0, 1, 2].map(hour), { ...hour(1), id: "of globex", company: "globex" });
    expect(await enqueueAll(store)).toBe(4);
    await take(hour(3));
    const regrouped = await change(desk, { groupBy: {} });
    expect(regrouped.effect).toMatchObject({ events: 6, reportedWindows: 4 });
    expect((await change(desk, { name: "x" })).effect).toBeNull();
    await end(desk);
    const later = { ...TOKENS, groupBy: {}, report: true, eventFrom: START + HOUR };
    expect((await previewNewMeter(desk, later)).reportedWindows).toBe(0);
    const other = { ...later, value: "data.none" };
    expect(await previewNewMeter(desk, other)).toMatchObject({ events: 0, reportedWindows: 3 });
    const versions = await store.meterVersions();
    await expect(make(other)).rejects.toMatchObject(conflict("3 windows of usage that a meter tokens_total had"));
    expect(await store.meterVersions()).toEqual(versions);
    await createMeter(desk, { draft: other, author: AUTHOR, mayCorrect: true });
    expect((await store.meterVersions()).length).toBe(versions.length + 1);
    await assertWhole();
  });

  it("is refused for a meter of the file, one that is not there, and with the place of each mistake", async () => {
    const desk = metersDesk(await makeStore());
    await loadCatalog(desk.store, settingsOf(calls), START, { adopt: true });
    const { meter } = await desk.make(TOKENS);
    await expect(change(desk, { name: "x" }, "calls")).rejects.toMatchObject({
      ...conflict("The meter calls is in the configuration file."),
      remedy: "Change it in the file.",
    });
    await expect(end(desk, "calls")).rejects.toMatchObject(conflict("calls is in the configuration file"));
    for (const idOrKey of ["none", "prompt", ""]) {
      await expect(change(desk, {}, idOrKey)).rejects.toMatchObject({ code: "METER_NOT_FOUND" });
      await expect(end(desk, idOrKey)).rejects.toMatchObject({ code: "METER_NOT_FOUND" });
    }
    const patch = { name: "", groupBy: { a: "data.tokens", "b c": "x", subject: "data.s" }, metadata: {} };
    await expect(change(desk, patch)).rejects.toMatchObject({
      code: "METER_REQUEST_INVALID",
      mistakes: ["/name", "/groupBy/a", "/groupBy/b c", "/groupBy/subject"].map((pointer) => ({ pointer })),
    });
    await end(desk);
    await expect(change(desk, {}, meter.id)).rejects.toMatchObject({ code: "METER_NOT_FOUND" });
    await expect(end(desk, meter.id)).rejects.toMatchObject({ code: "METER_NOT_FOUND" });
    await loadCatalog(desk.store, settingsOf(calls), START + HOUR, { adopt: true });
  });

  it("keeps labels that something uses, and cannot be deleted while anything uses it", async () => {
    const desk = metersDesk(await makeStore());
    await desk.make({ ...TOKENS, groupBy: { model: "data.model", region: "data.region" } });
    const said = 'The label model of tokens_total is used by the feature "tokens_total".';
    await expect(change(desk, { groupBy: { region: "data.region" } }, "tokens_total", uses)).rejects.toMatchObject(
      conflict(said),
    );
    await expect(end(desk, "tokens_total", uses)).rejects.toMatchObject(conflict("is used by the feature"));
    const { meter } = await change(desk, { groupBy: { model: "data.m", r2: "data.region" } }, "tokens_total", uses);
    expect(meter.groupBy).toEqual({ model: "data.m", r2: "data.region" });
  });

  it("counts nothing after it was deleted, and its usage can still be asked for", async () => {
    const desk = metersDesk(await makeStore());
    const { take, make, usage, store, assertWhole } = desk;
    const { meter } = await make({ ...TOKENS, description: "d" });
    await take(call(1, "m1", "eu", START + MINUTE));
    desk.clock.advance(HOUR);
    await end(desk, meter.id);
    await take(call(2, "m1", "eu", START + 2 * HOUR), call(4, "m1", "eu", START));
    expect(await usage("tokens_total", ["model"])).toEqual(["acme m1 5"]);
    expect(await listMeters({ store }, { includeDeleted: false })).toEqual([]);
    const [gone] = await listMeters({ store }, { includeDeleted: true });
    expect(gone).toMatchObject({ id: meter.id, description: "d", eventFrom: null, deletedAt: START + HOUR });
    expect(await getMeter({ store }, { idOrKey: meter.id })).toEqual(gone);
    await expect(getMeter({ store }, { idOrKey: "tokens_total" })).rejects.toMatchObject({ code: "METER_NOT_FOUND" });
    expect((await store.entryHistory("meter", meter.id)).at(-1)).toMatchObject({ author: AUTHOR, body: null });
    await assertWhole();
  });
});

onBothStores("meters", (makeStore) => {
  it("are listed with those of the file, by key and id, whatever was made anew under a key", async () => {
    const desk = metersDesk(await makeStore());
    const { store } = desk;
    await loadCatalog(store, settingsOf(calls, { ...calls, key: "old", reportAs: "old" }), START, { adopt: true });
    desk.clock.advance(HOUR);
    const first = await desk.make(TOKENS);
    await end(desk);
    desk.clock.advance(HOUR);
    const second = await desk.make(TOKENS);
    await loadCatalog(store, settingsOf(calls), START + DAY, { adopt: true });
    const all = await listMeters({ store }, { includeDeleted: true });
    expect(all.map(({ key, id, origin, deletedAt }) => [key, id, origin, deletedAt])).toEqual([
      ["calls", "calls", "file", null],
      ["old", "old", "file", START + DAY],
      ["tokens_total", second.meter.id, "api", null],
    ]);
    expect(all[0]).toMatchObject({
      eventFrom: null,
      eventType: "http.request",
      description: null,
      metadata: {},
      createdAt: 0,
    });
    expect(all[2]).toEqual(second.meter);
    expect((await listMeters({ store }, { includeDeleted: false })).map(({ key }) => key)).toEqual([
      "calls",
      "tokens_total",
    ]);
    expect(await getMeter({ store }, { idOrKey: "old" })).toEqual(all[1]);
    await expect(getMeter({ store }, { idOrKey: first.meter.id })).rejects.toMatchObject({ code: "METER_NOT_FOUND" });
  });

  it("with a deleted one's key leave alone what that one counted before they begin", async () => {
    const desk = metersDesk(await makeStore());
    const { take, make, usage, assertWhole } = desk;
    await take(both(5, 50, START - DAY), both(7, 70, START));
    await make(TOKENS);
    desk.clock.advance(HOUR);
    await end(desk);
    const { meter } = await make({ ...TOKENS, value: "data.words", eventFrom: START - HOUR });
    expect([meter.eventFrom, await usage("tokens_total")]).toEqual([START - HOUR, ["acme 75"]]);
    const { effect } = await change(desk, { groupBy: {} });
    expect([effect?.events, await usage("tokens_total")]).toEqual([1, ["acme 75"]]);
    expect((await getMeter(desk, { idOrKey: "tokens_total" })).eventFrom).toBe(START - HOUR);
    await assertWhole();
  });

  it("go to the file with their key after they were deleted over the API", async () => {
    const desk = metersDesk(await makeStore());
    const { store } = desk;
    const { meter } = await desk.make({ ...TOKENS, description: "of the API" });
    await end(desk);
    const mine = { ...calls, key: "tokens_total", aggregate: "sum" as const, value: "data.tokens" };
    await loadCatalog(store, settingsOf(mine), START + HOUR, { adopt: true });
    const view = await getMeter({ store }, { idOrKey: "tokens_total" });
    expect(view).toMatchObject({ id: "tokens_total", origin: "file", description: null, eventFrom: START + HOUR });
    await expect(getMeter({ store }, { idOrKey: meter.id })).rejects.toMatchObject({ code: "METER_NOT_FOUND" });
  });
});
