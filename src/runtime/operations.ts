import { owns } from "../core/own-member.ts";
import { readStatus } from "../engine/books/status.ts";
import { correctEvent } from "../engine/corrections/correct.ts";
import { resolveRow } from "../engine/corrections/row-orders.ts";
import { assignCompany } from "../engine/ingest/assign.ts";
import { listEvents } from "../engine/intake/event-list.ts";
import { limits } from "../engine/limits.ts";
import { createMeter, previewNewMeter } from "../engine/meters/create-meter.ts";
import { deleteMeter } from "../engine/meters/delete-meter.ts";
import { getMeter, listMeters } from "../engine/meters/meter-views.ts";
import { updateMeter } from "../engine/meters/update-meter.ts";
import * as keys from "../engine/registry/api-keys.ts";
import * as customers from "../engine/registry/customers.ts";
import * as portal from "../engine/registry/portal-tokens.ts";
import * as subjects from "../engine/registry/subjects.ts";
import { explainEvent } from "../engine/usage/explain.ts";
import { labelValues } from "../engine/usage/label-values.ts";
import { answerText } from "../server/contract/answer-text.ts";
import { askMeter, refusedUsage } from "./asked-meter.ts";
import { readFigures } from "./figures.ts";
import type { ReaderHost, WriterHost } from "./host.ts";
import { reads, writes, type AnyOperation, type Operations } from "./operation.ts";
import { periodReadings, periodWritings } from "./period-operations.ts";
import { toolsWithTurns } from "./with-turns.ts";

const LONG = limits.serverLongCallTimeoutMs;

/** Every call of the Backend, each with its thread and the function of the engine that answers it. */
const OPERATIONS: Operations = {
  // --- events ---
  ingest: writes(({ queue }, call) => queue.ingest(call)),
  listEvents: reads(async ({ store, catalog, attribution }, query) =>
    listEvents(store, await catalog(), await attribution(), query),
  ),

  // --- meters ---
  listMeters: reads(listMeters),
  getMeter: reads(getMeter),
  previewMeter: reads((host, draft) => previewNewMeter(toolsWithTurns(host), draft), LONG),
  createMeter: writes(async (host, order) => (await createMeter(toolsWithTurns(host), order)).meter, LONG),
  updateMeter: writes(async (host, order) => (await updateMeter(toolsWithTurns(host), order)).meter, LONG),
  deleteMeter: writes(async (host, order) => deleteMeter(host, order)),
  queryMeter: reads(askMeter, LONG),
  writeAnswer: reads(
    async (host, { question, form }) => encode(answerText(await askMeter(host, question), form)),
    LONG,
  ),
  queryProgress: reads(async ({ progress }, { id }) => progress.of(id)),
  labelValues: reads(async ({ store, catalog }, query) => labelValues(store, await catalog(), query)),

  // --- who pays ---
  listCustomers: reads(customers.listCustomers),
  getCustomer: reads(customers.getCustomer),
  createCustomer: writes(customers.createCustomer),
  updateCustomer: writes(customers.updateCustomer),
  deleteCustomer: writes(customers.deleteCustomer),
  findCustomer: reads(async ({ attribution, clock }, { tenantId }) => {
    const known = await attribution();
    const now = clock.now();
    return known.customerOf(known.companyOf(tenantId, now), tenantId, now);
  }),
  listSubjects: reads((host) => subjects.listSubjects(host)),
  getSubject: reads(subjects.getSubject),
  putSubjects: writes(subjects.putSubjects),
  deleteSubject: writes(subjects.deleteSubject),

  // --- simple usage, sessions ---
  reportUsage: writes(async ({ queue }, { reports }) => {
    const reply = await queue.report(reports);
    if (reply.kind === "refused") throw refusedUsage(reply);
    // Reports are asked of in full, so their reply is never the brief one.
    return reply.kind === "results" ? reply.results : [];
  }),
  recordSession: writes(({ sessions }, { boundary, author }) => sessions.record(boundary, author)),
  listSessions: writes(({ sessions }, query) => sessions.list(query)),
  dismissSession: writes(({ sessions }, { id, author }) => sessions.dismiss(id, author)),

  // --- keys and tokens ---
  listKeys: reads(({ store }, query) => keys.listApiKeys(store, query)),
  getKey: reads(({ store }, query) => keys.getApiKey(store, query)),
  createKey: writes(({ store, clock, random }, order) => keys.createApiKey(store, order, { now: clock.now(), random })),
  revokeKey: writes(({ store, clock }, order) => keys.revokeApiKey(store, order, clock.now())),
  keyRing: reads(({ store }, query) => keys.loadKeyRing(store, query)),
  noteKeysUsed: writes(({ store }, order) => keys.noteKeysUsed(store, order)),
  createPortalToken: writes(({ store, clock, random }, order) =>
    portal.createPortalToken(store, order, { now: clock.now(), random }),
  ),
  listPortalTokens: reads(({ store }, query) => portal.listPortalTokens(store, query)),
  endPortalTokens: writes(({ store, clock }, order) => portal.endPortalTokens(store, order, clock.now())),
  findPortalToken: reads(({ store, clock }, query) => portal.findPortalToken(store, query, clock.now())),

  // --- the books ---
  status: writes(({ node, store, clock }) => {
    const { stripe } = node.settings.billing;
    const given = { backlogBytes: node.backlogBytes(), now: clock.now() };
    return readStatus(store, stripe === null ? given : { ...given, shadow: stripe.shadow });
  }),
  readiness: writes(async ({ probe }) => {
    await probe();
    return { isReady: true, reasons: [] };
  }, limits.readinessTimeoutMs),
  explainEvent: reads(async ({ store, catalog }, { id, source }) => explainEvent(store, await catalog(), id, source)),
  heldUsage: reads(async ({ store }, { limit }) => ({
    events: await store.held({ order: "newest", limit }),
    reports: await store.outbox({ state: "held", limit }),
  })),
  assignEvent: writes(({ node, store, clock }, order) =>
    node.counting((catalog) => assignCompany({ ...order, store, catalog, now: clock.now() })),
  ),
  correctEvent: writes(({ node, store, clock }, order) =>
    node.counting((catalog) => correctEvent({ ...order, store, catalog, now: clock.now() })),
  ),
  resolveReport: writes(({ store, clock }, order) => resolveRow({ ...order, store, now: clock.now() })),

  // --- operating it ---
  figures: writes((host) => readFigures(host)),
  exportEvents: reads(async ({ store }, { limit, ...query }) => {
    const events = await store.events({ order: "oldest", limit, ...query });
    return { events, next: events.length < limit ? null : (events.at(-1)?.seq ?? null) };
  }),

  // --- meter types, customers' meters, records ---
  listMeterTypes: reads(periodReadings.listMeterTypes),
  getMeterType: reads(periodReadings.getMeterType),
  listBuckets: reads(periodReadings.listBuckets),
  getBucket: reads(periodReadings.getBucket),
  listFinalRecords: reads(periodReadings.listFinalRecords),
  listSuspended: reads(periodReadings.listSuspended),
  countSuspended: reads(periodReadings.countSuspended),
  createMeterType: writes(periodWritings.createMeterType),
  updateMeterType: writes(periodWritings.updateMeterType),
  deleteMeterType: writes(periodWritings.deleteMeterType),
  createBucket: writes(periodWritings.createBucket),
  updateBucket: writes(periodWritings.updateBucket),
  deleteBucket: writes(periodWritings.deleteBucket),
  purgeBuckets: writes(periodWritings.purgeBuckets),
  takeRecords: writes(periodWritings.takeRecords),
  requeueRecords: writes(periodWritings.requeueRecords),
  replayRecord: writes(periodWritings.replayRecord),
};

const encoder = new TextEncoder();

function encode(text: string): Uint8Array {
  return encoder.encode(text);
}

/** The names of all calls. */
export function operationNames(): readonly string[] {
  return Object.keys(OPERATIONS);
}

/** The call of this name; what crosses threads is what the table's types say, since both sides are one release. */
export function operationNamed(name: string): AnyOperation {
  const all: Readonly<Record<string, AnyOperation>> = OPERATIONS;
  const operation = owns(OPERATIONS, name) ? all[name] : undefined;
  if (operation === undefined) throw new Error(`there is no operation ${name}`);
  return operation;
}

/** Runs one call where everything is possible. */
export function runOperation(host: WriterHost, name: string, argument: unknown): Promise<unknown> {
  return operationNamed(name).run(host, argument);
}

/** The same where only reading is possible. */
export function runReading(host: ReaderHost, name: string, argument: unknown): Promise<unknown> {
  const operation = operationNamed(name);
  if (operation.thread === "writer") throw new Error(`${name} is not for the thread that reads`);
  return operation.run(host, argument);
}
