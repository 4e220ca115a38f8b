import type { Settings } from "../../config/settings.ts";
import {
  compileCatalog,
  nextVersions,
  type Catalog,
  type VersionChange,
  type WantedMeters,
} from "../../core/catalog.ts";
import { isMeterbookError, MeterbookError } from "../../core/errors.ts";
import type { MeterVersion } from "../../core/meter.ts";
import { limits } from "../limits.ts";
import type { Store, StoreView } from "../ports.ts";

/** The part of the configuration that counting depends on. */
export type MeterSettings = Pick<Settings, "meters" | "fields"> & {
  readonly identity: Pick<Settings["identity"], "unknown">;
};

/** The meters in force, and what the configuration says otherwise. */
export interface LoadedCatalog {
  readonly catalog: Catalog;
  /** Meters that the configuration has otherwise than the store, the removed ones included; none after adopting. */
  readonly differs: readonly string[];
}

/**
 * The catalog of the versions that the store knows. Only an app adopts its configuration: edited meters count from `now`
 * on, removed ones end, and events before keep their old version; METER_AGGREGATE_CHANGED when one cannot be changed,
 * METER_CONFLICT when a meter of the API or of a guide has its key.
 * Everybody else counts by what is stored, and adopts only where the store has no versions at all.
 */
export async function loadCatalog(
  store: Store,
  settings: MeterSettings,
  now: number,
  { adopt }: { readonly adopt: boolean },
): Promise<LoadedCatalog> {
  const wanted = { meters: settings.meters, fields: settings.fields, unknownIdentity: settings.identity.unknown };
  const stored = await store.meterVersions();
  if (adopt || stored.length === 0) return { catalog: storedCatalog(await adopted(store, wanted, now)), differs: [] };
  const { add, aggregateChanged, ofApi } = nextVersions(stored, wanted, now, false);
  return {
    catalog: storedCatalog(stored),
    differs: [...add.map(({ definition }) => definition.key), ...aggregateChanged, ...ofApi.map(({ key }) => key)],
  };
}

/** The store's catalog once more if versions were added since; else the one that is given. */
export async function newestCatalog(store: Pick<StoreView, "meterVersions">, known: Catalog): Promise<Catalog> {
  const stored = await store.meterVersions();
  return stored.length === known.revision ? known : storedCatalog(stored);
}

/** METER_METERS_CHANGED when the store has other versions than those that the catalog was made from. */
export async function assertNewest(store: Pick<StoreView, "meterVersions">, catalog: Catalog): Promise<void> {
  if (catalog.revision === null) return;
  if ((await store.meterVersions()).length !== catalog.revision) throw metersChanged();
}

/** What a store throws when verdicts were made with an old catalog. */
export function areMetersChanged(error: unknown): boolean {
  return isMeterbookError(error) && error.code === ("METER_METERS_CHANGED" as const);
}

function metersChanged(): MeterbookError {
  return new MeterbookError("METER_METERS_CHANGED", "Another process changed the meters meanwhile.", {
    remedy: "Run it again.",
  });
}

/** Another process may adopt at the same time: each builds on what the other one stored. */
async function adopted(store: Store, wanted: WantedMeters, now: number): Promise<readonly MeterVersion[]> {
  for (;;) {
    const { events } = await store.counts();
    const stored = await store.meterVersions();
    const { add, aggregateChanged, ofApi } = nextVersions(stored, wanted, now, events === 0 && stored.length === 0);
    refuseRivals(ofApi);
    refuseAggregates(stored, aggregateChanged);
    if (add.length === 0) return stored;
    if (await store.addMeterVersions(add, stored.length)) return store.meterVersions();
  }
}

// Either of the two could be the one that is meant, so neither wins in silence.
function refuseRivals([rival]: VersionChange["ofApi"]): void {
  if (rival === undefined) return;
  const { key, api, origin } = rival;
  const made = origin === "api" ? "made over the API" : "made for a guide";
  const message =
    key === api
      ? `The configuration has a meter ${key}, and a meter of that key was ${made}.`
      : `The configuration reports its meter ${key} under the name of the meter ${api}, which was ${made}; the biller would add them up.`;
  throw new MeterbookError("METER_CONFLICT", message, {
    remedy:
      origin === "api"
        ? `Give the configuration's meter another name, or delete ${api} over the API: what it counted stays.`
        : "Give the configuration's meter another name.",
  });
}

function refuseAggregates(stored: readonly MeterVersion[], [changed]: readonly string[]): void {
  if (changed === undefined) return;
  const was = stored.findLast(({ definition }) => definition.key === changed)?.definition.aggregate;
  throw new MeterbookError(
    "METER_AGGREGATE_CHANGED",
    `Meter ${changed} was ${was} and has usage by it; figures of two aggregates cannot be added.`,
    {
      remedy: `Set aggregate: ${was} again, or give the changed meter a new name.`,
    },
  );
}

/** The catalog of all versions that a store has. */
export function storedCatalog(versions: readonly MeterVersion[]): Catalog {
  return compileCatalog({
    versions,
    fields: {},
    unknownIdentity: "hold",
    revision: versions.length,
    limits: { groupLabelLengthMax: limits.groupLabelLengthMax, futureMs: limits.futureMs },
  });
}
