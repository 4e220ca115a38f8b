import { compileCatalog, type Catalog } from "../../src/core/catalog.ts";
import { parseDecimal, type Decimal } from "../../src/core/decimal.ts";
import type { UsageEvent } from "../../src/core/event.ts";
import type { MeterDefinition } from "../../src/core/meter.ts";
import { alarms } from "../../src/engine/delivery/alarms.ts";
import { ingest } from "../../src/engine/ingest/ingest.ts";
import { pace, type Pace } from "../../src/engine/delivery/pace.ts";
import type { Store, UsageReporter } from "../../src/engine/ports.ts";
import {
  reportOnce,
  type ReportOptions,
  type ReportSettings,
  type ReportSummary,
} from "../../src/engine/delivery/report.ts";
import { memoryStore } from "../../src/memory/memory-store.ts";
import { manualClock, type ManualClock } from "../../src/testing/manual-clock.ts";
import { tokenMeter } from "../core/match-fixtures.ts";

export const HOUR = 3_600_000;
export const MINUTE = 60_000;
export const DAY = 24 * HOUR;
/** 2026-11-22T10:00:00Z. */
export const START = 1_795_341_600_000;

export const tokens = tokenMeter({ groupBy: { model: "metadata.model" }, allowNegative: true });

export const calls: MeterDefinition = {
  ...tokens,
  key: "calls",
  name: "Calls",
  unit: null,
  match: [],
  aggregate: "count",
  value: null,
  groupBy: {},
  reportAs: "calls",
};

export function catalogOf(...definitions: readonly MeterDefinition[]): Catalog {
  return compileCatalog({
    versions: definitions.map((definition) => ({ definition, version: 1, effectiveFrom: 0 })),
    fields: {},
    unknownIdentity: "hold",
  });
}

let lastId = 0;

export interface ChatOptions {
  readonly id?: string;
  readonly company?: string | null;
  readonly time?: number;
  readonly status?: number;
  readonly route?: string;
  readonly model?: string;
}

/** A chat request that used so many tokens. */
export function chat(used: string | null, options: ChatOptions = {}): UsageEvent {
  const {
    id = `e${++lastId}`,
    company = "acme",
    time = START,
    status = 200,
    route = "/chat",
    model = "small",
  } = options;
  return {
    source: "test",
    id,
    type: "http.request",
    time,
    company,
    user: null,
    request: { method: "POST", route, path: route },
    response: { status, headers: used === null ? {} : { "x-tokens-used": used } },
    metadata: { model },
  };
}

export function decimal(text: string): Decimal {
  const value = parseDecimal(text);
  if (typeof value !== "bigint") throw new Error(value);
  return value;
}

/** Nothing here has a subscription, and usage is sent all the same: tests that are about it say `hold`. */
export const hourly: ReportSettings = {
  unmatchedCustomer: "hold",
  noSubscription: "send",
  report: { windowMs: HOUR, latenessMs: 5 * MINUTE, graceMs: HOUR, fractionDigits: 0 },
};

export interface World {
  readonly store: Store;
  readonly catalog: Catalog;
  readonly clock: ManualClock;
  readonly pace: Pace;
  readonly notices: { readonly code: string; readonly text: string }[];
  /** Takes events in. */
  readonly take: (...events: readonly UsageEvent[]) => Promise<void>;
  /** One round of reporting. */
  readonly round: (reporter: UsageReporter, changes?: Partial<ReportOptions>) => Promise<ReportSummary>;
  readonly options: (reporter: UsageReporter) => ReportOptions;
}

/** A store with meters and a clock that tests move; waiting moves it too. */
export function world(
  options: { readonly store?: Store; readonly catalog?: Catalog; readonly settings?: ReportSettings } = {},
): World {
  const clock = manualClock(START);
  const store = options.store ?? memoryStore({ bucketMs: MINUTE });
  const catalog = options.catalog ?? catalogOf(tokens);
  const notices: { code: string; text: string }[] = [];
  const ownPace = pace();
  const told = alarms();
  const optionsFor = (reporter: UsageReporter): ReportOptions => ({
    store,
    catalog,
    reporter,
    settings: options.settings ?? hourly,
    clock,
    holder: "node-1",
    random: () => 0.5,
    wait: async (ms) => void clock.advance(ms),
    pace: ownPace,
    alarms: told,
    onNotice: (notice) => void notices.push(notice),
  });
  return {
    store,
    catalog,
    clock,
    pace: ownPace,
    notices,
    take: async (...events) => void (await ingest(store, catalog, events, clock.now())),
    options: optionsFor,
    round: async (reporter, changes = {}) => {
      const summary = await reportOnce({ ...optionsFor(reporter), ...changes });
      if (summary === null) throw new Error("another node has the lease");
      return summary;
    },
  };
}
