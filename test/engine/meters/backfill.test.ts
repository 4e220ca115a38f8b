import { expect, it } from "vitest";

import { resumeBackfill } from "../../../src/engine/meters/backfill.ts";
import { createMeter, previewNewMeter } from "../../../src/engine/meters/create-meter.ts";
import { deleteMeter } from "../../../src/engine/meters/delete-meter.ts";
import { getMeter } from "../../../src/engine/meters/meter-views.ts";
import { updateMeter } from "../../../src/engine/meters/update-meter.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { onBothStores, type MakeStore } from "../both-stores.ts";
import { AUTHOR } from "../registry-desk.ts";
import { DAY, MINUTE, START } from "../world.ts";
import { metersDesk, sent, TOKENS, type MetersDesk } from "./meters-desk.ts";

const EVENTS = 2_500;
const COMPANIES = 50;
const DAYS = 6;
const bucketsMax = 300;

/** A service whose clock stands at START, with a past of six days, most of it in two hours of the third. */
async function pastDesk(make: MakeStore): Promise<MetersDesk> {
  const desk = metersDesk(await make());
  const begin = START - DAYS * DAY;
  const events = Array.from({ length: EVENTS }, (_, place) => {
    const isDense = place % 10 !== 0;
    const time = begin + (isDense ? 2 * DAY + (place % 120) * MINUTE : Math.floor((place / EVENTS) * DAYS * DAY));
    return sent("prompt", { tokens: 1, model: `m${place % 3}` }, { time, company: `c${place % COMPANIES}` });
  });
  await desk.take(...events);
  return desk;
}

async function totalOf(store: Store): Promise<number> {
  return (await store.buckets({ meter: TOKENS.key })).reduce((sum, { state }) => sum + state.events, 0);
}

/** Begins to make the meter and dies when it has read so many events. */
async function killedAt(desk: MetersDesk, events: number, eventFrom: number | null = null): Promise<void> {
  const onProgress = (read: number): void => {
    if (read > events) throw new Error("killed");
  };
  const made = createMeter(desk, { draft: { ...TOKENS, eventFrom }, author: AUTHOR }, { bucketsMax, onProgress });
  await expect(made).rejects.toThrow("killed");
}

const resume = (desk: MetersDesk) => resumeBackfill(desk, TOKENS.key, { bucketsMax });

onBothStores("a large past", (makeStore) => {
  it("is counted step by step, newest first, and says the same as in one", async () => {
    const desk = await pastDesk(makeStore);
    const { store, assertWhole } = desk;
    const preview = await previewNewMeter(desk, TOKENS, { bucketsMax });
    expect(await store.meterVersions()).toEqual([]);
    expect(preview).toEqual(await previewNewMeter(desk, TOKENS));
    const seen: [number, number][] = [];
    const options = { bucketsMax, onProgress: (...each: [number, number]) => void seen.push(each) };
    const { meter, effect } = await createMeter(desk, { draft: TOKENS, author: AUTHOR }, options);
    expect(effect).toEqual(preview);
    expect(effect).toMatchObject({ events: EVENTS, reportedWindows: 0, from: START - DAYS * DAY });
    expect(await totalOf(store)).toBe(EVENTS);
    const versions = await store.meterVersions();
    expect(versions.length).toBeGreaterThan(5);
    expect(versions.map(({ version }) => version)).toEqual(versions.map((_, place) => place + 1));
    const begins = versions.map(({ effectiveFrom }) => effectiveFrom);
    expect(begins).toEqual([...new Set(begins)].toSorted((a, b) => b - a));
    expect(meter).toMatchObject({ eventFrom: null, version: versions.length });
    expect(seen.every(([read, total]) => read <= total && total === EVENTS)).toBe(true);
    expect(await store.getNote(`meter.past.${TOKENS.key}`)).toBe("");
    await assertWhole();
  });

  it("that a killed process left is finished, with what came meanwhile", async () => {
    const desk = await pastDesk(makeStore);
    const { store, take, assertWhole } = desk;
    const from = START - 5 * DAY;
    await killedAt(desk, 300, from);
    const counted = await totalOf(store);
    expect([counted > 0, counted < EVENTS]).toEqual([true, true]);
    await assertWhole();
    await take(sent("prompt", { tokens: 1 }, { time: START - 4 * DAY }), sent("prompt", { tokens: 1 }));
    expect(await resume(desk)).toMatchObject({ reportedWindows: 0 });
    expect(await totalOf(store)).toBe((await store.eventsInSpan({ from, limit: 2 * EVENTS })).length);
    expect((await getMeter(desk, { idOrKey: TOKENS.key })).eventFrom).toBe(from);
    expect(await resume(desk)).toBeNull();
    await assertWhole();
  });

  it("of a meter that was deleted meanwhile is not gone on with", async () => {
    const desk = await pastDesk(makeStore);
    expect(await resume(desk)).toBeNull();
    await killedAt(desk, 300);
    await deleteMeter(desk, { idOrKey: TOKENS.key, author: AUTHOR });
    const counted = await totalOf(desk.store);
    expect(await resume(desk)).toBeNull();
    expect(await totalOf(desk.store)).toBe(counted);
    // Nor is it with another that gets its key.
    await createMeter(desk, { draft: { ...TOKENS, eventFrom: START - DAY }, author: AUTHOR });
    expect(await resume(desk)).toBeNull();
    await desk.assertWhole();
  });

  it("is judged by the newest version where somebody changes the meter between two steps", async () => {
    const desk = await pastDesk(makeStore);
    const changes: Promise<unknown>[] = [];
    const patch = { name: "Other", groupBy: {} };
    const onProgress = (read: number): void => {
      if (read < 300 || changes.length > 0) return;
      changes.push(updateMeter(desk, { idOrKey: TOKENS.key, patch, author: AUTHOR }, undefined, { bucketsMax }));
    };
    await createMeter(desk, { draft: TOKENS, author: AUTHOR }, { bucketsMax, onProgress });
    await Promise.all(changes);
    expect(changes.length).toBe(1);
    expect(await totalOf(desk.store)).toBe(EVENTS);
    const changed = { name: "Other", groupBy: {}, eventFrom: null };
    expect(await getMeter(desk, { idOrKey: TOKENS.key })).toMatchObject(changed);
    expect((await desk.usage(TOKENS.key))[0]).toBe(`c0 ${EVENTS / COMPANIES}`);
    await desk.assertWhole();
  });

  it("is counted the same by a clock that stands before it", async () => {
    const desk = await pastDesk(makeStore);
    desk.clock.advance(-20 * DAY);
    await createMeter(desk, { draft: TOKENS, author: AUTHOR }, { bucketsMax });
    expect([await totalOf(desk.store), (await desk.store.meterVersions()).length > 5]).toEqual([EVENTS, true]);
    await desk.assertWhole();
  });

  it("in one bucket is one step, however many figures it has", async () => {
    const desk = metersDesk(await makeStore());
    const events = Array.from({ length: 700 }, (_, place) => sent("prompt", { tokens: 1 }, { company: `c${place}` }));
    await desk.take(...events, sent("prompt", { tokens: 1 }, { time: START - DAY }));
    await createMeter(desk, { draft: TOKENS, author: AUTHOR }, { bucketsMax });
    expect(await totalOf(desk.store)).toBe(701);
    await desk.assertWhole();
  });
});
