import { readConfigObject, type Settings } from "../../src/config/index.ts";
import { MeterbookError } from "../../src/core/errors.ts";
import { readStatus } from "../../src/engine/books/status.ts";
import { correctEvent } from "../../src/engine/corrections/correct.ts";
import { resolveRow } from "../../src/engine/corrections/row-orders.ts";
import { assignCompany } from "../../src/engine/ingest/assign.ts";
import type { Clock, Store } from "../../src/engine/ports.ts";
import {
  createApiKey,
  getApiKey,
  listApiKeys,
  loadKeyRing,
  noteKeysUsed,
  revokeApiKey,
} from "../../src/engine/registry/api-keys.ts";
import { explainEvent } from "../../src/engine/usage/explain.ts";
import { storedCatalog } from "../../src/engine/ingest/catalog-versions.ts";
import { periodReadings, periodWritings, type PeriodWriter } from "../../src/runtime/period-operations.ts";
import type { PeriodBackend } from "../../src/server/period-backend.ts";
import { memoryStore } from "../../src/memory/memory-store.ts";
import { systemRandom } from "../../src/runtime/system.ts";
import type { Backend } from "../../src/server/backend.ts";
import type { Catalog } from "../../src/core/catalog.ts";
import { catalogOf, MINUTE, tokens } from "../engine/world.ts";

/** A configuration with this `server` section. */
export function settingsWith(server: object = {}): Settings {
  const reading = readConfigObject({ version: 1, meters: {}, server }, { file: null, env: {}, directory: "/app" });
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems));
  return reading.settings;
}

const noHost = async (): Promise<never> => {
  throw new MeterbookError("METER_SERVER_BUSY", "This has no host.");
};

/** The calls about customers' meters over a store, with the meters that it knows. */
function periodCalls(parts: { store: Store; clock: Clock; settings: Settings }): PeriodBackend {
  const catalog = async (): Promise<Catalog> => storedCatalog(await parts.store.meterVersions());
  const node: PeriodWriter["node"] = { counting: async (work) => work(await catalog()) };
  const host: PeriodWriter = { ...parts, random: systemRandom, catalog, node };
  const calls = Object.entries({ ...periodReadings, ...periodWritings }).map(([name, run]) => [
    name,
    (argument: never) => run(host, argument),
  ]);
  return Object.fromEntries(calls) as PeriodBackend;
}

/** The backend of one store in this thread: the engine's own functions; what has no host yet is refused as busy. */
export function storeBackend(options: {
  readonly clock: Clock;
  readonly store?: Store;
  readonly catalog?: Catalog;
  readonly settings?: Settings;
}): Backend {
  const { clock, store = memoryStore({ bucketMs: MINUTE }), catalog = catalogOf(tokens) } = options;
  const now = (): number => clock.now();
  const settings = options.settings ?? settingsWith();
  return {
    ...periodCalls({ store, clock, settings }),
    settings,
    ingest: noHost,
    listEvents: noHost,
    listMeters: noHost,
    getMeter: noHost,
    previewMeter: noHost,
    createMeter: noHost,
    updateMeter: noHost,
    deleteMeter: noHost,
    queryMeter: noHost,
    queryProgress: async () => null,
    labelValues: noHost,
    listCustomers: noHost,
    getCustomer: noHost,
    createCustomer: noHost,
    updateCustomer: noHost,
    deleteCustomer: noHost,
    listSubjects: noHost,
    getSubject: noHost,
    putSubjects: noHost,
    deleteSubject: noHost,
    listKeys: (query) => listApiKeys(store, query),
    getKey: (query) => getApiKey(store, query),
    createKey: (order) => createApiKey(store, order, { now: now(), random: systemRandom }),
    revokeKey: (order) => revokeApiKey(store, order, now()),
    keyRing: (query) => loadKeyRing(store, query),
    noteKeysUsed: (order) => noteKeysUsed(store, order),
    status: () => readStatus(store, { backlogBytes: 0, now: now() }),
    readiness: async () => ({ isReady: true, reasons: [] }),
    explainEvent: ({ id, source }) => explainEvent(store, catalog, id, source),
    heldUsage: async ({ limit }) => ({
      events: await store.held({ order: "newest", limit }),
      reports: await store.outbox({ state: "held", limit }),
    }),
    assignEvent: (order) => assignCompany({ ...order, store, catalog, now: now() }),
    correctEvent: (order) => correctEvent({ ...order, store, catalog, now: now() }),
    resolveReport: (order) => resolveRow({ ...order, store, now: now() }),
  };
}
