import type { Catalog } from "../../../src/core/catalog.ts";
import type { Json } from "../../../src/core/event.ts";
import type { Guide, GuideRule } from "../../../src/core/guide.ts";
import type { MeterTypeDraft } from "../../../src/core/meter-type.ts";
import { storedCatalog } from "../../../src/engine/ingest/catalog-versions.ts";
import { closePeriods, type ClosingSummary } from "../../../src/engine/periods/close-periods.ts";
import type { Desk } from "../../../src/engine/periods/entries.ts";
import { listFinalRecords, type RecordPage } from "../../../src/engine/periods/final-records.ts";
import { provision } from "../../../src/engine/periods/provision.ts";
import { takeRecords, type RecordsReply } from "../../../src/engine/periods/records.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { manualClock, type ManualClock } from "../../../src/testing/manual-clock.ts";

/** 2026-01-10T12:00:00Z. */
export const JANUARY_10 = Date.parse("2026-01-10T12:00:00Z");
export const FEBRUARY = Date.parse("2026-02-01T00:00:00Z");
export const MARCH = Date.parse("2026-03-01T00:00:00Z");
export const LATENESS = 5 * 60_000;

const rule = (key: string, changes: Partial<GuideRule> = {}): GuideRule => ({
  key,
  when: "all",
  conditions: [{ path: "data.apiCallsType", op: "eq", value: key.toUpperCase() }],
  category: `${key.toUpperCase()}_API_Requests`,
  groupBy: [["data.region"], ["data.status"]],
  carryFirst: ["data.sessionId"],
  carryLast: ["data.caseNumber", "data.status"],
  createOnFirstUse: null,
  ...changes,
});

/** The stream of the support bot: sessions, validated by region, the same once by their id. */
export const sessions: Guide = {
  key: "botbot",
  eventType: "botbot.session",
  userId: "data.company",
  value: "data.apiCalls",
  timestamp: "data.timestamp",
  dedupeBy: "data.sessionId",
  validate: [{ path: "data.region", op: "in", value: ["APAC", "EMEA", "AMER"] }],
  rules: [rule("l1"), rule("l2")],
  allowNegative: false,
  report: false,
  suspendedMax: null,
};

export const ruleOf = rule;

export const llama: MeterTypeDraft = { name: "L1_Llama3", category: "L1_API_Requests", unit: "API request" };
export const gpt: MeterTypeDraft = { name: "L2_GPT4o", category: "L2_API_Requests", unit: "API request" };

/** A session of the company FinTech that used so many calls. */
export function session(id: string, changes: { readonly [field: string]: Json } = {}): Json {
  return {
    sessionId: id,
    company: "FinTech",
    apiCallsType: "L1",
    apiCalls: 10,
    region: "EMEA",
    status: "closed",
    caseNumber: `case ${id}`,
    timestamp: "2026-01-15T10:00:00.000Z",
    ...changes,
  };
}

export interface Stream {
  readonly store: Store;
  readonly clock: ManualClock;
  readonly desk: () => Desk;
  readonly catalog: () => Promise<Catalog>;
  readonly send: (...records: readonly Json[]) => Promise<RecordsReply>;
  readonly close: (sinks?: readonly string[]) => Promise<ClosingSummary>;
  readonly records: () => Promise<RecordPage["records"]>;
}

/** A store that is provisioned at noon of the tenth of January, with meters for FinTech. */
export async function stream(
  store: Store,
  changes: {
    readonly guide?: Guide;
    readonly types?: readonly MeterTypeDraft[];
    readonly users?: readonly (readonly [userId: string, type: string])[];
  } = {},
): Promise<Stream> {
  const { guide = sessions, types = [llama, gpt] } = changes;
  const clock = manualClock(JANUARY_10);
  let last = 0;
  const desk = (): Desk => ({
    store,
    now: clock.now(),
    newId: () => `id${String((last += 1)).padStart(6, "0")}`,
    author: "test",
  });
  const users = changes.users ?? types.map(({ name }) => ["FinTech", name] as const);
  const buckets = users.map(([userId, meterType]) => ({ userId, meterType, guide: guide.key }));
  await provision(desk(), { meterTypes: types, guides: [guide], buckets }, { dryRun: false });
  const catalog = async (): Promise<Catalog> => storedCatalog(await store.meterVersions());
  return {
    store,
    clock,
    desk,
    catalog,
    send: async (...records) => takeRecords(desk(), await catalog(), { guide: guide.key, records }),
    close: async (sinks = []) =>
      closePeriods({ store, catalog: await catalog(), now: clock.now(), latenessMs: LATENESS, sinks }),
    records: async () => (await listFinalRecords(store, { limit: 1_000 })).records,
  };
}
