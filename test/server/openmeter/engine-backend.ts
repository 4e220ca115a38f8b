import { storedCatalog } from "../../../src/engine/ingest/catalog-versions.ts";
import { commitQueue } from "../../../src/engine/intake/commit-queue.ts";
import { listEvents } from "../../../src/engine/intake/event-list.ts";
import { createMeter, previewNewMeter } from "../../../src/engine/meters/create-meter.ts";
import { deleteMeter } from "../../../src/engine/meters/delete-meter.ts";
import { getMeter, listMeters } from "../../../src/engine/meters/meter-views.ts";
import { updateMeter } from "../../../src/engine/meters/update-meter.ts";
import type { Clock, Store } from "../../../src/engine/ports.ts";
import * as customers from "../../../src/engine/registry/customers.ts";
import * as portal from "../../../src/engine/registry/portal-tokens.ts";
import { registryTools } from "../../../src/engine/registry/registry-tools.ts";
import * as subjects from "../../../src/engine/registry/subjects.ts";
import { labelValues } from "../../../src/engine/usage/label-values.ts";
import { queryMeter } from "../../../src/engine/usage/meter-query.ts";
import { progressBook } from "../../../src/engine/usage/query-progress.ts";
import { systemRandom } from "../../../src/runtime/system.ts";
import type { Backend } from "../../../src/server/backend.ts";
import { storeBackend } from "../store-backend.ts";

/** The engine's own functions over one store, in this thread. */
export function engineBackend(store: Store, clock: Clock): Backend {
  const tools = registryTools(store, clock, systemRandom);
  const catalog = async () => storedCatalog(await store.meterVersions());
  const progress = progressBook(clock);
  const queue = commitQueue({
    store,
    clock,
    counting: async (work) => work(await catalog(), await tools.attribution()),
    defer: (run) => void setImmediate(run),
  });
  return {
    ...storeBackend({ clock, store }),
    ingest: (call) => queue.ingest(call),
    listEvents: async (query) => listEvents(store, await catalog(), await tools.attribution(), query),
    listMeters: (query) => listMeters(tools, query),
    getMeter: (query) => getMeter(tools, query),
    previewMeter: (draft) => previewNewMeter(tools, draft),
    createMeter: async (order) => (await createMeter(tools, order)).meter,
    updateMeter: async (order) => (await updateMeter(tools, order)).meter,
    deleteMeter: (order) => deleteMeter(tools, order),
    queryMeter: async (question) => {
      const { progressId } = question;
      const note = (read: number, total: number): void => {
        if (progressId !== undefined) progress.note(progressId, read, total);
      };
      return queryMeter(store, await catalog(), await tools.attribution(), question, note);
    },
    queryProgress: async ({ id }) => progress.of(id),
    labelValues: async (query) => labelValues(store, await catalog(), query),
    listCustomers: (query) => customers.listCustomers(tools, query),
    getCustomer: (query) => customers.getCustomer(tools, query),
    createCustomer: (order) => customers.createCustomer(tools, order),
    updateCustomer: (order) => customers.updateCustomer(tools, order),
    deleteCustomer: (order) => customers.deleteCustomer(tools, order),
    listSubjects: () => subjects.listSubjects(tools),
    getSubject: (query) => subjects.getSubject(tools, query),
    putSubjects: (order) => subjects.putSubjects(tools, order),
    deleteSubject: (order) => subjects.deleteSubject(tools, order),
    createPortalToken: (order) => portal.createPortalToken(store, order, { now: clock.now(), random: systemRandom }),
    listPortalTokens: (query) => portal.listPortalTokens(store, query),
    endPortalTokens: (order) => portal.endPortalTokens(store, order, clock.now()),
    findPortalToken: (query) => portal.findPortalToken(store, query, clock.now()),
  };
}
