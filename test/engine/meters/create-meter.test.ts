import { expect, it } from "vitest";

import type { MeterDefinition } from "../../../src/core/meter.ts";
import { purgeExpired } from "../../../src/engine/books/retention.ts";
import { assignCompany } from "../../../src/engine/ingest/assign.ts";
import { loadCatalog, storedCatalog } from "../../../src/engine/ingest/catalog-versions.ts";
import { createMeter, previewNewMeter } from "../../../src/engine/meters/create-meter.ts";
import { deleteMeter } from "../../../src/engine/meters/delete-meter.ts";
import { definitionOf } from "../../../src/engine/meters/meter-rules.ts";
import type { MeterDraft } from "../../../src/engine/meters/meter-view.ts";
import { onBothStores } from "../both-stores.ts";
import { AUTHOR } from "../registry-desk.ts";
import { calls, DAY, HOUR, START } from "../world.ts";
import { metersDesk, MONTH_KEPT, sent, TOKENS } from "./meters-desk.ts";

const conflict = (said: string) => ({ code: "METER_CONFLICT", message: expect.stringContaining(said) });

const user = (name: string | null, tokens: number, time: number) => sent("prompt", { tokens, name }, { time });

const tokensAt = (time: number, tokens: number) => sent("prompt", { tokens }, { time });

onBothStores("a new meter of the API", (makeStore) => {
  it("counts what was sent before it was made, and what comes after", async () => {
    const desk = metersDesk(await makeStore());
    const { take, make, usage, assertWhole, store } = desk;
    await take(
      sent("prompt", { tokens: 5, model: "m1" }, { time: START - 400 * DAY }),
      sent("prompt", { tokens: "7.25", model: "m2" }),
      sent("prompt", { model: "m2" }),
      sent("other", { tokens: 100 }),
      sent("prompt", { tokens: 3, model: "m1" }, { company: "globex" }),
    );
    const { meter, effect } = await make({ ...TOKENS, description: "d", metadata: { a: [1] } });
    expect(effect).toEqual({ events: 3, reportedWindows: 0, from: START - 400 * DAY, to: START + 1 });
    expect(meter).toMatchObject({
      key: "tokens_total",
      name: "tokens_total",
      description: "d",
      metadata: { a: [1] },
      eventFrom: null,
      origin: "api",
      version: 1,
      report: false,
      createdAt: START,
      updatedAt: START,
      deletedAt: null,
    });
    expect(meter.id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
    await take(sent("prompt", { tokens: 1, model: "m1" }, { time: START + DAY }), sent("prompt", { tokens: 2 }));
    expect(await usage("tokens_total", ["model"])).toEqual(["acme  2", "acme m1 6", "acme m2 7.25", "globex m1 3"]);
    const [version] = await store.meterVersions();
    const replayed = { author: AUTHOR, cause: "made over the API", at: START };
    expect(version).toMatchObject({ origin: "api", effectiveFrom: -8_640_000_000_000_000, replayed });
    const history = await store.entryHistory("meter", meter.id);
    expect(history).toMatchObject([
      { author: AUTHOR, body: { key: "tokens_total", definition: { aggregate: "sum" } } },
    ]);
    await assertWhole();
  });

  it("skips what has no value, holds it where that is asked, and takes negative values", async () => {
    const { take, make, usage, store, assertWhole } = metersDesk(await makeStore());
    const refund = sent("prompt", { tokens: -2 });
    await take(sent("prompt", {}, { id: "empty" }), refund, sent("prompt", { tokens: "x" }, { id: "text" }));
    await make(TOKENS);
    expect(await usage("tokens_total")).toEqual(["acme -2"]);
    await make({ ...TOKENS, key: "strict", missingValue: "hold", allowNegative: false });
    expect(await usage("strict")).toEqual([]);
    const held = await store.held({ order: "oldest", limit: 9 });
    expect(held.map(({ id, meter, reason }) => [id, meter, reason])).toEqual([
      ["empty", "strict", "missing_value"],
      [refund.id, "strict", "negative_value"],
      ["text", "tokens_total", "not_a_number"],
      ["text", "strict", "not_a_number"],
    ]);
    await assertWhole();
  });

  it("counts nothing before eventFrom, also late, in the middle of a bucket", async () => {
    const { take, make, usage, assertWhole } = metersDesk(await makeStore());
    await take(tokensAt(START + 29_999, 1), tokensAt(START + 30_000, 10), tokensAt(START + HOUR, 100));
    const { meter, effect } = await make({ ...TOKENS, eventFrom: START + 30_000 });
    expect([meter.eventFrom, effect.events, effect.from]).toEqual([START + 30_000, 2, START + 30_000]);
    await take(tokensAt(START, 1_000), tokensAt(START + 31_000, 10_000));
    expect(await usage("tokens_total")).toEqual(["acme 10110"]);
    await assertWhole();
  });

  it("may be one of every aggregate", async () => {
    const { take, make, usage, assertWhole } = metersDesk(await makeStore());
    await take(user("a", 4, START), user("b", 1, START + DAY), user("a", 2, START + 2 * DAY), user(null, 2, START));
    const figures: string[] = [];
    for (const aggregate of ["count", "sum", "min", "max", "avg", "latest", "unique"] as const) {
      const value = aggregate === "count" ? null : aggregate === "unique" ? "data.name" : "data.tokens";
      const { effect } = await make({ key: `of_${aggregate}`, eventType: "prompt", aggregate, value });
      figures.push(`${(await usage(`of_${aggregate}`)).join("")} of ${effect.events}`);
    }
    expect(figures).toEqual([
      "acme 4 of 4",
      "acme 9 of 4",
      "acme 1 of 4",
      "acme 4 of 4",
      "acme 2.25 of 4",
      "acme 2 of 4",
      "acme 2 of 3",
    ]);
    await assertWhole();
  });

  it("is previewed without a trace", async () => {
    const desk = metersDesk(await makeStore());
    const { take, make, usage, store } = desk;
    await take(sent("prompt", { tokens: 5 }));
    const before = [await store.usageRevision(), await store.registerRevision("meter")];
    const effect = { events: 1, reportedWindows: 0, from: START, to: START + 1 };
    expect(await previewNewMeter(desk, TOKENS)).toEqual(effect);
    expect(await previewNewMeter(desk, { ...TOKENS, eventType: "none" })).toEqual({
      events: 0,
      reportedWindows: 0,
      from: null,
      to: null,
    });
    expect([await store.usageRevision(), await store.registerRevision("meter")]).toEqual(before);
    expect(await store.bucketMeters()).toEqual([]);
    await make(TOKENS);
    expect(await usage("tokens_total")).toEqual(["acme 5"]);
    await expect(previewNewMeter(desk, TOKENS)).rejects.toMatchObject(conflict("There is a meter tokens_total"));
  });

  it("is refused where another has its key, or its name at the biller", async () => {
    const { make, store } = metersDesk(await makeStore());
    const meters = [calls, { ...calls, key: "sums", reportAs: "billed" }];
    await loadCatalog(store, { meters, fields: {}, identity: { unknown: "hold" } }, START, { adopt: true });
    await make(TOKENS);
    const counted: MeterDraft = { key: "calls", eventType: "x", aggregate: "count" };
    await expect(make(TOKENS)).rejects.toMatchObject(conflict("There is a meter tokens_total already."));
    await expect(make(counted)).rejects.toMatchObject(
      conflict("There is a meter calls in the configuration file already."),
    );
    const rival = { ...counted, key: "billed", report: true };
    await expect(make(rival)).rejects.toMatchObject(conflict("The meter sums is reported as billed"));
    expect((await make({ ...rival, report: false })).meter.key).toBe("billed");
    expect((await store.listEntries({ kind: "meter", limit: 9 })).length).toBe(2);
  });

  it("bills nothing again that an ended meter reported under its name", async () => {
    const desk = metersDesk(await makeStore());
    const { make, store, take, usage, assertWhole } = desk;
    const load = (meters: readonly MeterDefinition[], now: number) =>
      loadCatalog(store, { meters, fields: {}, identity: { unknown: "hold" } }, now, { adopt: true });
    const { groupBy: _groupBy, ...counted } = { ...TOKENS, key: "billed", report: true };
    const sums = { ...definitionOf(counted), key: "sums" };
    await load([sums], START);
    await take(sent("prompt", { tokens: 5 }));
    await load([], START + HOUR);
    await take(sent("prompt", { tokens: 7 }, { time: START + HOUR }));
    const said = conflict("The meter sums was reported as billed until 2026");
    await expect(make(counted)).rejects.toMatchObject(said);
    await expect(previewNewMeter(desk, { ...counted, eventFrom: START + HOUR - 1 })).rejects.toMatchObject(said);
    expect((await make({ ...counted, key: "unbilled", report: false })).effect.events).toBe(2);
    expect((await make({ ...counted, eventFrom: START + HOUR })).effect.events).toBe(1);
    expect([await usage("sums"), await usage("billed")]).toEqual([["acme 5"], ["acme 7"]]);
    await assertWhole();
  });

  it("is made once when two callers make it at once", async () => {
    const { make, take, usage, store, assertWhole } = metersDesk(await makeStore());
    await take(sent("prompt", { tokens: 5 }));
    const made = await Promise.allSettled([make(TOKENS), make(TOKENS), make({ ...TOKENS, key: "other" })]);
    const refused = made.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    expect(refused).toMatchObject([conflict("There is a meter tokens_total already.")]);
    expect([await usage("tokens_total"), await usage("other")]).toEqual([["acme 5"], ["acme 5"]]);
    expect(await store.countEntries("meter")).toBe(2);
    await assertWhole();
  });

  it("counts also what arrives while the past is read, each event once, and says how far it is", async () => {
    const desk = metersDesk(await makeStore());
    const { take, usage, assertWhole } = desk;
    const past = Array.from({ length: 4_500 }, (_, at) => sent("prompt", { tokens: 1 }, { time: START + at * 1_000 }));
    await take(...past);
    const arriving: Promise<void>[] = [];
    const seen: [number, number][] = [];
    const onProgress = (read: number, total: number): void => {
      seen.push([read, total]);
      if (arriving.length < 4) arriving.push(take(sent("prompt", { tokens: 1_000 }), sent("other", {})));
    };
    await createMeter(desk, { draft: TOKENS, author: AUTHOR }, { onProgress });
    await Promise.all(arriving);
    expect(arriving.length).toBe(4);
    expect(seen.slice(0, 3)).toEqual([
      [2_000, 4_500],
      [4_000, 4_500],
      [4_500, 4_500],
    ]);
    expect(seen.every(([read, total]) => read <= total)).toBe(true);
    expect(await usage("tokens_total")).toEqual([`acme ${4_500 + 4_000}`]);
    await assertWhole();
  });

  it("is made while events of other types are amended without a pause", async () => {
    const desk = metersDesk(await makeStore());
    const { take, usage, store, assertWhole } = desk;
    const past = Array.from({ length: 2_500 }, (_, at) => sent("prompt", { tokens: 1 }, { time: START + at * 1_000 }));
    const others = Array.from({ length: 99 }, (_, at) => sent("other", {}, { company: null, id: `other ${at}` }));
    const own = sent("prompt", { tokens: 10 }, { company: null, id: "own" });
    await take(...past, own, ...others);
    const amending: Promise<unknown>[] = [];
    const assign = (id: string) => {
      const order = { store, catalog: storedCatalog([]), id, company: "acme", author: "test", now: START };
      amending.push(assignCompany({ ...order, catalog: { ...order.catalog, revision: null } }));
    };
    const onProgress = (): void => assign(`other ${amending.length}`);
    await createMeter(desk, { draft: TOKENS, author: AUTHOR }, { onProgress });
    expect(amending.length).toBe(2);
    // One of its own events is looked at anew.
    await deleteMeter(desk, { idOrKey: "tokens_total", author: AUTHOR });
    amending.length = 0;
    const progress = (): void => (amending.length === 0 ? assign("own") : undefined);
    await createMeter(desk, { draft: TOKENS, author: AUTHOR }, { onProgress: progress });
    await Promise.all(amending);
    expect(await usage("tokens_total")).toEqual(["acme 2510"]);
    await assertWhole();
  });

  it("takes up a deleted meter's key with the same aggregate, and judges its past anew", async () => {
    const desk = metersDesk(await makeStore());
    const { take, make, usage, assertWhole } = desk;
    await take(sent("prompt", { tokens: 5, words: 50 }));
    const first = await make(TOKENS);
    desk.clock.advance(HOUR);
    await deleteMeter(desk, { idOrKey: "tokens_total", author: AUTHOR });
    await take(sent("prompt", { tokens: 7, words: 70 }, { time: START + 2 * HOUR }));
    expect(await usage("tokens_total")).toEqual(["acme 5"]);
    await assertWhole();
    await expect(make({ ...TOKENS, aggregate: "max" })).rejects.toMatchObject(conflict("was deleted that was a sum"));
    const { meter, effect } = await make({ ...TOKENS, value: "data.words" });
    expect([meter.version, effect.events, meter.id === first.meter.id]).toEqual([3, 2, false]);
    expect(meter.createdAt).toBe(START + HOUR);
    expect(await usage("tokens_total")).toEqual(["acme 120"]);
    await assertWhole();
  });

  it("counts what is kept where events were deleted, and leaves what a deleted meter counted of them", async () => {
    const desk = metersDesk(await makeStore());
    const { take, make, usage, store, assertWhole } = desk;
    await take(sent("prompt", { tokens: 5 }), sent("prompt", { tokens: 7 }, { time: START + 40 * DAY }));
    await make(TOKENS);
    const catalog = storedCatalog(await store.meterVersions());
    expect(await purgeExpired(store, catalog, MONTH_KEPT, START + 40 * DAY)).toBe(1);
    const { effect } = await make({ ...TOKENS, key: "fresh" });
    expect([effect.events, await usage("fresh")]).toEqual([1, ["acme 7"]]);
    await deleteMeter(desk, { idOrKey: "tokens_total", author: AUTHOR });
    const again = await make({ ...TOKENS, value: "data.none" });
    expect(again.meter.eventFrom).toBe(START + 60_000);
    expect(await usage("tokens_total")).toEqual(["acme 5"]);
    await assertWhole();
  });
});
