import type { MeterVersion } from "../core/meter.ts";
import { ingest } from "../engine/ingest/ingest.ts";
import { commitQueue, type CommitQueue } from "../engine/intake/commit-queue.ts";
import { meterUnitOf } from "../engine/intake/session-event.ts";
import { openSessions, type Sessions } from "../engine/intake/sessions.ts";
import type { Attribution } from "../engine/registry/customer.ts";
import type { RegistryTools } from "../engine/registry/registry-tools.ts";
import type { MeterNode } from "./node.ts";

/** The queue of what is sent to this process: calls that come together share one commit. */
export function nodeQueue(node: MeterNode, { clock, attribution }: RegistryTools): CommitQueue {
  const { store, counting } = node;
  return commitQueue({
    sent: () => {
      const { inflatedBytes, batchEvents, eventBytes } = node.settings.server.limits;
      return { bodyBytes: inflatedBytes, events: batchEvents, eventLength: eventBytes };
    },
    store,
    clock,
    counting: (work) => counting(async (catalog) => work(catalog, await attribution())),
    // After what the other thread has sent until now was received.
    defer: (run) => void setImmediate(run),
  });
}

/** Sessions of time meters; who pays, and a meter's unit, are those of when a call begins. */
export function nodeSessions({ store, counting }: MeterNode, { clock, attribution }: RegistryTools): Sessions {
  let known: Attribution | null = null;
  let versions: readonly MeterVersion[] = [];
  const sessions = openSessions({
    register: store,
    now: () => clock.now(),
    companyOf: (subject, time) => known?.companyOf(subject, time) ?? null,
    meterUnit: (eventType) => meterUnitOf(versions, eventType),
    accept: async (event) => {
      const { stored, duplicates } = await counting((catalog) => ingest(store, catalog, [event], clock.now()));
      if (stored > 0) return "stored";
      return duplicates > 0 ? "duplicate" : "conflict";
    },
  });
  const informed = async <Answer>(work: () => Promise<Answer>): Promise<Answer> => {
    known = await attribution();
    versions = await store.meterVersions();
    return work();
  };
  return {
    record: (boundary, author) => informed(() => sessions.record(boundary, author)),
    list: (query) => sessions.list(query),
    dismiss: (id, author) => informed(() => sessions.dismiss(id, author)),
    finishAll: () => informed(() => sessions.finishAll()),
  };
}
