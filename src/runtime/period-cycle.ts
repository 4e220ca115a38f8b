import { randomUUID } from "node:crypto";

import { ownMember } from "../core/own-member.ts";
import type { SinkSettings } from "../config/settings.ts";
import {
  closePeriods,
  closingMemory,
  type ClosingMemory,
  type ClosingSummary,
} from "../engine/periods/close-periods.ts";
import { emitRecords, type EmitSummary } from "../engine/periods/emit-records.ts";
import type { Clock, RecordSink, Store } from "../engine/ports.ts";
import type { MeterNode } from "./node.ts";
import { fileSink } from "./sinks/file-sink.ts";
import { webhookSink } from "./sinks/webhook-sink.ts";
import { systemJitter } from "./system.ts";

/** What a round of closing and handing over did. */
export interface PeriodSummary {
  readonly closing: ClosingSummary;
  readonly emission: EmitSummary;
}

/** One round: close ended periods, tell thresholds, hand pending records over. Null where nothing of it is configured. */
export async function periodCycle(
  node: MeterNode,
  { clock, until, isStopped }: { readonly clock: Clock; readonly until?: number; readonly isStopped?: () => boolean },
): Promise<PeriodSummary | null> {
  const { settings, store } = node;
  const metering = ownMember(settings, "metering");
  if (metering === undefined) return null;
  const sinks = metering.sinks.map(sinkOf);
  await node.reload();
  const closing = await node.counting((catalog) =>
    closePeriods({
      store,
      catalog,
      now: clock.now(),
      until: until ?? clock.now(),
      latenessMs: metering.latenessMs,
      sinks: sinks.map(({ name }) => name),
      memory: memoryOf(store),
    }),
  );
  return {
    closing,
    emission: await emitRecords({ store, sinks, clock, random: systemJitter, holder: HOLDER, isStopped }),
  };
}

/** Threads of one process are as different as processes. */
const HOLDER = randomUUID();

const memories = new WeakMap<Store, ClosingMemory>();

/** What this process learnt of a store's meters, as long as it has it open. */
function memoryOf(store: Store): ClosingMemory {
  const memory = memories.get(store) ?? closingMemory();
  memories.set(store, memory);
  return memory;
}

function sinkOf(settings: SinkSettings): RecordSink {
  return settings.kind === "file" ? fileSink(settings) : webhookSink(settings);
}
