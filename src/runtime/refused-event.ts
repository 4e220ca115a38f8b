import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Catalog } from "../core/catalog.ts";
import { sentenceOf } from "../core/errors.ts";
import type { UsageEvent } from "../core/event.ts";
import { ingest } from "../engine/ingest/ingest.ts";
import { concernsAll } from "../engine/ingest/store-failure.ts";
import type { Store } from "../engine/ports.ts";
import type { Notice } from "./notice.ts";

const NAME_LENGTH_MAX = 80;

/** Where and how events are taken in. */
export interface Intake {
  readonly store: Store;
  /** The root of the journals: what cannot be stored is kept in its `quarantine` folder. */
  readonly root: string;
  readonly now: () => number;
  readonly onNotice: (notice: Notice) => void;
}

/**
 * Stores a batch. When one event among them cannot be judged or stored at all, it alone is kept in a file and told; it
 * must not stand in the way of all others for ever. Failures of the store itself throw: they concern every event.
 */
export async function takeEvents(intake: Intake, catalog: Catalog, events: readonly UsageEvent[]): Promise<void> {
  try {
    await ingest(intake.store, catalog, events, intake.now());
  } catch (error) {
    if (concernsAll(error)) throw error;
    for (const event of events) await takeOne(intake, catalog, event);
  }
}

async function takeOne(intake: Intake, catalog: Catalog, event: UsageEvent): Promise<void> {
  try {
    await ingest(intake.store, catalog, [event], intake.now());
  } catch (error) {
    if (concernsAll(error)) throw error;
    const folder = join(intake.root, "quarantine");
    const file = join(folder, `refused-${encodeURIComponent(event.id).slice(0, NAME_LENGTH_MAX)}.json`);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(file, JSON.stringify(event), { mode: 0o600 });
    intake.onNotice({
      code: "METER_EVENT_REFUSED",
      text: `An event cannot be stored: ${sentenceOf(error)}. It is kept in ${file} and counts nowhere.`,
    });
  }
}
