import type { LatePolicy } from "../../../src/core/meter.ts";
import { releaseHeld } from "../../../src/engine/outbox/held-reports.ts";
import { closeWindows } from "../../../src/engine/outbox/outbox.ts";
import type { OutboxRow, Store } from "../../../src/engine/ports.ts";
import { recordingReporter, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { catalogOf, chat, HOUR, START, tokens, world, type World } from "../world.ts";
import { closingOf } from "./closing-world.ts";

/** A world whose usage is held for want of a customer. */
export type HeldWorld = World & { readonly rows: () => Promise<readonly OutboxRow[]> };

interface Usage {
  readonly company?: string;
  readonly time?: number;
}

/** Windows that were closed when nobody knew a customer for them; an hour later. */
export async function heldWorld(usage: readonly Usage[], late: LatePolicy | null = null): Promise<HeldWorld> {
  const base = world({ catalog: catalogOf(late === null ? tokens : { ...tokens, late }) });
  await base.take(...usage.map((change) => chat("5", change)));
  base.clock.set(START + 3 * HOUR);
  const { closing, modes } = await closingOf(base, recordingReporter());
  await closeWindows(closing, modes);
  base.clock.advance(HOUR);
  return { ...base, rows: () => base.store.outbox({ limit: 9_999 }) };
}

/** One round of releasing held rows. */
export async function release(
  base: Pick<World, "store" | "catalog" | "clock">,
  reporter: RecordingReporter,
  changes: Parameters<typeof closingOf>[2] = {},
): ReturnType<typeof releaseHeld> {
  const { closing, modes } = await closingOf(base, reporter, changes);
  return releaseHeld(closing, modes);
}

/** One window of acme for each of the hours before, oldest last. */
export function hours(count: number): readonly Usage[] {
  return Array.from({ length: count }, (_, hour) => ({ time: START - hour * HOUR }));
}

/** A biller with these customers. */
export const mapped = (customers: Readonly<Record<string, string>> = { acme: "cus_1" }): RecordingReporter =>
  recordingReporter({ customers });

/** A store that must not be written to in one way. */
export function without(store: Store, method: "hold" | "release" | "changeRow"): Store {
  return { ...store, [method]: () => Promise.reject(new Error(`${method} was called`)) };
}
