import { guideMeters, ruleMeter, type Guide, type GuideRule } from "../../core/guide.ts";
import { METER_AGGREGATIONS, type MeterAggregation } from "../../core/meter-type.ts";
import { ownMember } from "../../core/own-member.ts";
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

/**
 * A guide as it would be kept over the one that is in force: with the rules that are taken out of it. METER_CONFLICT for a
 * rule of another category than before, whose usage would change over to other meters.
 */
export function guideOver(before: Guide | null, wanted: Guide): Guide {
  if (before === null) return wanted;
  const known = [...before.rules, ...(ownMember(before, "formerRules") ?? [])];
  const moved = wanted.rules.find((rule) =>
    known.some(({ key, category }) => key === rule.key && category !== rule.category),
  );
  if (moved !== undefined)
    throw new MeterbookError("METER_CONFLICT", `The rule ${moved.key} of ${wanted.key} was for another category.`, {
      remedy: "Give the rule another name; what it counted until now stays with its meters.",
    });
  const formerRules = known.filter(({ key }) => wanted.rules.every((rule) => rule.key !== key));
  return formerRules.length === 0 ? wanted : { ...wanted, formerRules };
}

/** Puts a guide into force, and its meters. False when it is in force as it is. METER_CONFLICT as guideOver(). */
export async function putGuide(desk: Desk, wanted: Guide): Promise<boolean> {
  const { store, now, author } = desk;
  const before = await store.getEntry("guide", wanted.key);
  const guide = guideOver(before === null ? null : guideOf(before), wanted);
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
 * that what was suspended before can be replayed; a changed one counts from now on, and those of rules that were taken
 * out end. True when anything was done.
 */
export async function ensureGuideMeters(desk: Omit<Desk, "newId">, guide: Guide): Promise<boolean> {
  const { store } = desk;
  const types = await listMeterTypes(store);
  const aggregations = (category: string): readonly MeterAggregation[] => [
    ...new Set(types.filter((type) => type.category === category).map(({ aggregation }) => aggregation)),
  ];
  const { rules } = guide;
  const ofRules = (some: readonly GuideRule[]): readonly string[] =>
    some.flatMap(({ key }) => METER_AGGREGATIONS.map((aggregation) => ruleMeter(guide.key, key, aggregation)));
  const [kept, former] = [ofRules(rules), ofRules(ownMember(guide, "formerRules") ?? [])];
  const stored = newestVersions(await store.meterVersions());
  // Meters keep the type that they were made with, and so the aggregation that no type may have any more.
  const all = guideMeters(guide, () => METER_AGGREGATIONS);
  const named = new Set(guideMeters(guide, aggregations).map(({ key }) => key));
  const wanted = all.filter(({ key }) => named.has(key) || (kept.includes(key) && stored.has(key)));
  const over = former.flatMap((key) => stored.get(key) ?? []).filter(({ origin }) => origin === "guide");
  let isChanged = await endMeters(desk, over);
  for (const definition of wanted) {
    let tries = 0;
    while (await isOtherwise(desk, definition)) {
      isChanged = true;
      tries += 1;
      if (tries < limits.amendTriesMax) continue;
      throw storeBusy(definition.key);
    }
  }
  return isChanged;
}

function newestVersions(versions: readonly MeterVersion[]): ReadonlyMap<string, MeterVersion> {
  return new Map(versions.map((version) => [version.definition.key, version]));
}

/** Ends meters from now on. True when any was to be ended; another process may have ended it meanwhile. */
async function endMeters({ store, now }: Omit<Desk, "newId">, meters: readonly MeterVersion[]): Promise<boolean> {
  let isChanged = false;
  for (let tries = 0; tries < limits.amendTriesMax; tries += 1) {
    const stored = await store.meterVersions();
    const newest = newestVersions(stored);
    const ending = meters
      .flatMap(({ definition: { key } }) => newest.get(key) ?? [])
      .filter(({ ended }) => ended !== true);
    if (ending.length === 0) return isChanged;
    isChanged = true;
    const versions = ending.map(({ replayed: _replayed, ...last }): MeterVersion => ({
      ...last,
      version: last.version + 1,
      effectiveFrom: now,
      ended: true,
    }));
    if (await store.addMeterVersions(versions, stored.length)) return true;
  }
  throw storeBusy(meters[0]?.definition.key ?? "");
}

function storeBusy(meter: string): MeterbookError {
  return new MeterbookError("METER_STORE_BUSY", `The meter ${meter} could not be put into force.`, {
    remedy: "Try again.",
  });
}

/** One step towards the wanted meter; false when it is in force. A step that fails because something moved is made again. */
async function isOtherwise({ store, now, author }: Omit<Desk, "newId">, definition: MeterDefinition): Promise<boolean> {
  const usage = await store.usageRevision();
  const stored = await store.meterVersions();
  const history = stored.filter((version) => version.definition.key === definition.key);
  const newest = history.at(-1);
  const from = Math.max(0, (await store.purgedUntil()) ?? 0);
  if (newest !== undefined && newest.origin !== "guide")
    throw new MeterbookError("METER_CONFLICT", `There is a meter ${definition.key} that is not of a guide.`, {
      remedy: "Give the guide or its rule another name.",
    });
  if (newest === undefined) {
    const first: MeterVersion = { definition, version: 1, effectiveFrom: 0, origin: "guide" };
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
    const next: MeterVersion = { definition, version: newest.version + 1, effectiveFrom: now, origin: "guide" };
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
