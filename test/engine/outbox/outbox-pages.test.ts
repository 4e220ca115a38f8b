import { expect, it } from "vitest";

import { limits } from "../../../src/engine/limits.ts";
import { closeWindows } from "../../../src/engine/outbox/outbox.ts";
import { closableWindows, keepEras } from "../../../src/engine/outbox/report-windows.ts";
import type { DirtyWindow, Store } from "../../../src/engine/ports.ts";
import { recordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { catalogOf, chat, DAY, HOUR, START, tokens, world } from "../world.ts";
import { closingOf } from "./closing-world.ts";

/** 2026-11-23T00:00:00Z. */
const TOMORROW = Math.ceil(START / DAY) * DAY;

/** A store that tells how many windows were read of it. */
function counting(store: Store): { readonly store: Store; readonly read: () => number } {
  let windows = 0;
  const dirtyWindows: Store["dirtyWindows"] = async (query) => {
    const found = await store.dirtyWindows(query);
    windows += found.length;
    return found;
  };
  return { store: { ...store, dirtyWindows }, read: () => windows };
}

function many(count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => `company-${String(at).padStart(4, "0")}`);
}

onBothStores("closing windows page by page", (make) => {
  it("reads each once, however many of them cannot be closed now", async () => {
    const { store, read } = counting(await make());
    const base = world({ store, catalog: catalogOf(tokens) });
    const companies = many(3 * limits.closeWindowsMax);
    // One customer for all, on a meter that keeps one total an hour: one of them at a time can be closed.
    const customers = Object.fromEntries(companies.map((company) => [company, "cus_shared"]));
    const reporter = recordingReporter({ customers: { ...customers, globex: "cus_globex" } });
    reporter.setMeter("chat_tokens", { kind: "ready", keepsLast: "hour" });
    await base.take(...companies.map((company) => chat("5", { company })));
    await base.take(chat("5", { company: "globex", time: START + HOUR }));
    base.clock.set(START + 3 * HOUR);
    const { closing, modes } = await closingOf(base, reporter);
    expect(await closeWindows(closing, modes)).toMatchObject({ closed: 2 });
    expect(read()).toBe(companies.length + 1);
    expect(await store.dirtyWindows({ windowMs: HOUR, before: START + DAY, limit: 9_999 })).toHaveLength(
      companies.length - 1,
    );
  }, 120_000);

  it("goes on behind the last one, from the windows of one width to those of the next", async () => {
    const { store, read } = counting(await make());
    const { take } = world({ store, catalog: catalogOf(tokens) });
    const eras = [
      { from: Number.MIN_SAFE_INTEGER, windowMs: HOUR },
      { from: TOMORROW, windowMs: DAY },
    ];
    await keepEras(store, eras);
    for (const company of ["globex", "acme", "initech"])
      for (const hour of [-2, -1, 0, 7, 30]) await take(chat("1", { company, time: TOMORROW + hour * HOUR }));
    const now = TOMORROW + 3 * DAY;
    const whole = await closableWindows(store, eras, now, 0);
    expect(whole.map(({ windowStart }) => (windowStart - TOMORROW) / HOUR)).toEqual(
      [-2, -1, 0, 24].flatMap((hour) => [hour, hour, hour]),
    );
    for (const size of [1, 2, 5]) {
      const paged: DirtyWindow[] = [];
      const readBefore = read();
      for (;;) {
        const page = await closableWindows(store, eras, now, 0, size, paged.at(-1));
        if (page.length === 0) break;
        paged.push(...page);
      }
      expect(paged).toEqual(whole);
      expect(read() - readBefore).toBe(whole.length);
    }
  });
});
