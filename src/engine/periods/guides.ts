import type { Guide } from "../../core/guide.ts";
import { guideMeters } from "../../core/guide.ts";
import type { MeterAggregation } from "../../core/meter-type.ts";
import type { MeterDefinition, MeterVersion } from "../../core/meter.ts";
import { MeterbookError } from "../../core/errors.ts";
import { recordReader, type RecordReader } from "../../core/guided-record.ts";
import { bucketStart } from "../../core/usage.ts";
import { replayMeter } from "../corrections/replay.ts";
import { limits } from "../limits.ts";
import type { RegisterEntry, Store } from "../ports.ts";
import { bodyText, change, entriesOf, entryNamed, type Desk } from "./entries.ts";
import { listMeterTypes } from "./meter-types.ts";

/** The guides in force, in the order of their keys. */
export async function listGuides(store: Pick<Store, "listEntries">): Promise<readonly Guide[]> {
  const guides: Guide[] = [];
  for await (const entry of entriesOf(store, { kind: "guide" })) guides.push(guideOf(entry));
  return guides;
}

/** The reader of one guide's records. METER_NOT_FOUND. */
export async function guideReader(store: Store, key: string): Promise<RecordReader> {
  return recordReader(await getGuide(store, key));
}

/** METER_NOT_FOUND. */
export async function getGuide(store: Store, key: string): Promise<Guide> {
  return guideOf(await entryNamed(store, "guide", key, "guide"));
}

/** The guide that an entry of kind `guide` is. */
export function guideOf(entry: RegisterEntry): Guide {
  const guide: Guide = JSON.parse(bodyText(entry));
  return guide;
}

/** Puts a guide into force, and its meters. False when it is in force as it is. */
export async function putGuide(desk: Desk, guide: Guide): Promise<boolean> {
  const { store, now, author } = desk;
  const before = await store.getEntry("guide", guide.key);
  const isNew = before === null || bodyText(before) !== JSON.stringify(guide);
  if (isNew) {
    const seen = before?.revision ?? null;
    await change(
      store,
      [{ kind: "guide", id: guide.key, seen, names: [guide.key], body: guide, author }],
      now,
      "guide",
    );
  }
  const areMetersNew = await ensureGuideMeters(desk, guide);
  return isNew || areMetersNew;
}

/**
 * Puts the meters of a guide into force that are not yet, or are otherwise. A new one counts the records of all time, so
 * that what was suspended before can be replayed; a changed one counts from now on. True when anything was done.
 */
export async function ensureGuideMeters(desk: Omit<Desk, "newId">, guide: Guide): Promise<boolean> {
  const { store } = desk;
  const types = await listMeterTypes(store);
  const aggregations = (category: string): readonly MeterAggregation[] => [
    ...new Set(types.filter((type) => type.category === category).map(({ aggregation }) => aggregation)),
  ];
  const wanted = guideMeters(guide, aggregations);
  let isChanged = false;
  for (const definition of wanted) {
    let tries = 0;
    while (await isOtherwise(desk, definition)) {
      isChanged = true;
      tries += 1;
      if (tries < limits.amendTriesMax) continue;
      throw new MeterbookError("METER_STORE_BUSY", `The meter ${definition.key} could not be put into force.`, {
        remedy: "Try again.",
      });
    }
  }
  return isChanged;
}

/** One step towards the wanted meter; false when it is in force. A step that fails because something moved is made again. */
async function isOtherwise({ store, now, author }: Omit<Desk, "newId">, definition: MeterDefinition): Promise<boolean> {
  const usage = await store.usageRevision();
  const stored = await store.meterVersions();
  const history = stored.filter((version) => version.definition.key === definition.key);
  const newest = history.at(-1);
  const from = Math.max(0, (await store.purgedUntil()) ?? 0);
  if (newest === undefined) {
    const first: MeterVersion = { definition, version: 1, effectiveFrom: 0, origin: "api" };
    const { eventType: type } = definition;
    const [event] = await store.events({ ...(type === null ? {} : { type }), order: "oldest", limit: 1 });
    if (event !== undefined) await store.addMeterVersions([{ ...first, effectiveFrom: now }], stored.length);
    else {
      // There is no event that it could count, so nothing needs to be judged.
      const nothing = { meters: stored.length, usage, from: 0, to: store.bucketMs, buckets: [], holds: [] };
      await store.replay({ meter: definition.key, versions: [first], ...nothing });
    }
    return true;
  }
  if (newest.ended === true || canonical(newest.definition) !== canonical(definition)) {
    const next: MeterVersion = { definition, version: newest.version + 1, effectiveFrom: now, origin: "api" };
    await store.addMeterVersions([next], stored.length);
    return true;
  }
  if (history.every(({ effectiveFrom }) => effectiveFrom > from + store.bucketMs)) {
    const kept = from === 0 ? 0 : bucketStart(from - 1, store.bucketMs) + store.bucketMs;
    const span = { from: kept, to: null };
    const cause = "the records of before the meter";
    await replayMeter({ store, meter: definition.key, ...span, author, cause, now, dryRun: false });
    return true;
  }
  return false;
}

function canonical(definition: MeterDefinition): string {
  return JSON.stringify(Object.entries(definition).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
