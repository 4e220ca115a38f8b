import { expect } from "vitest";

import type { Json, UsageEvent } from "../../../src/core/event.ts";
import { rebuild } from "../../../src/engine/books/rebuild.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { storedCatalog } from "../../../src/engine/ingest/catalog-versions.ts";
import { ingest } from "../../../src/engine/ingest/ingest.ts";
import { createMeter, type CreatedMeter } from "../../../src/engine/meters/create-meter.ts";
import type { MeterDraft } from "../../../src/engine/meters/meter-view.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { queryUsage } from "../../../src/engine/usage/usage-query.ts";
import { AUTHOR, deskOf, type Desk } from "../registry-desk.ts";
import { DAY, START } from "../world.ts";

let lastId = 0;

/** An event that was sent over HTTP. */
export function sent(type: string, data: Json, parts: Partial<UsageEvent> = {}): UsageEvent {
  const company = parts.company === undefined ? "acme" : parts.company;
  const own = { source: "app", id: `sent ${++lastId}`, type, time: START, user: null };
  return { ...own, company, subject: company ?? "nobody", data, recordedAt: parts.time ?? START, ...parts };
}

/** Events are kept for 30 days. */
export const MONTH_KEPT = {
  storage: { path: "", keepEventsMs: 30 * DAY, durability: "process" as const },
  billing: { stripe: null },
};

export const TOKENS: MeterDraft = {
  key: "tokens_total",
  eventType: "prompt",
  aggregate: "sum",
  value: "data.tokens",
  groupBy: { model: "data.model" },
};

/** Makes meters over the API and takes events in, as a service does. */
export interface MetersDesk extends Desk {
  readonly take: (...events: readonly UsageEvent[]) => Promise<void>;
  readonly make: (draft: MeterDraft) => Promise<CreatedMeter>;
  /** Usage as `customer label… value`, one text a row. */
  readonly usage: (meter: string, groupBy?: readonly string[]) => Promise<readonly string[]>;
  /** The sums match, and a recomputation from nothing changes nothing. */
  readonly assertWhole: () => Promise<void>;
}

export function metersDesk(store: Store): MetersDesk {
  const desk = deskOf(store);
  const catalog = async () => storedCatalog(await store.meterVersions());
  return {
    ...desk,
    take: async (...events) => void (await ingest(store, await catalog(), events, desk.clock.now())),
    make: (draft) => createMeter(desk, { draft, author: AUTHOR }),
    usage: async (meter, groupBy = []) => {
      const rows = await queryUsage(store, await catalog(), { meter, window: null, groupBy });
      return rows.map(({ customer, value, group }) => [customer, ...Object.values(group), value].join(" "));
    },
    assertWhole: async () => {
      expect((await rebuild(store, await catalog(), { apply: false })).differences).toEqual([]);
      expect(await verify(store, await catalog())).toMatchObject({ ok: true, differences: [] });
    },
  };
}
