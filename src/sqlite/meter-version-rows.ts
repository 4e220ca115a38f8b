import { MeterbookError } from "../core/errors.ts";
import type { MeterDefinition, MeterVersion, UnknownIdentity } from "../core/meter.ts";
import { limits } from "../engine/limits.ts";
import type { IngestEntry } from "../engine/ports.ts";
import type { Connection } from "./connection.ts";
import { getMeta } from "./counters.ts";

type VersionRow = readonly [
  version: number,
  effectiveFrom: number,
  definition: string,
  fields: string | null,
  unknownIdentity: UnknownIdentity | null,
  ended: number,
];

/** Versions of meters in the order in which they were added. */
export function readMeterVersions(connection: Connection): MeterVersion[] {
  const rows = connection
    .sql<VersionRow>(
      "SELECT version, effective_from, definition, fields, unknown_identity, ended FROM meter_versions ORDER BY number",
    )
    .raw()
    .all();
  return rows.map(([version, effectiveFrom, definition, fields, unknownIdentity, ended]) => {
    const parsed: MeterDefinition = JSON.parse(definition);
    const texts: Readonly<Record<string, string>> | null = fields === null ? null : JSON.parse(fields);
    return {
      definition: parsed,
      version,
      effectiveFrom,
      ...(texts === null ? {} : { fields: texts }),
      ...(unknownIdentity === null ? {} : { unknownIdentity }),
      ...(ended === 1 ? { ended: true } : {}),
    };
  });
}

/** Adds versions behind every stored event; false when others were added since. Runs inside a write transaction. */
export function addMeterVersions(connection: Connection, versions: readonly MeterVersion[], revision: number): boolean {
  if (metersRevision(connection) !== revision) return false;
  const newest = getMeta(connection, "newest_event");
  const insert = connection.sql(
    "INSERT INTO meter_versions (meter, version, effective_from, definition, fields, unknown_identity, ended) VALUES (?, ?, ?, ?, ?, ?, ?)",
  );
  for (const { definition, version, effectiveFrom, fields, unknownIdentity, ended } of versions) {
    insert.run(
      definition.key,
      version,
      newest === null ? effectiveFrom : Math.max(effectiveFrom, newest + 1),
      JSON.stringify(definition),
      fields === undefined ? null : JSON.stringify(fields),
      unknownIdentity ?? null,
      ended === true ? 1 : 0,
    );
  }
  return true;
}

/** METER_METERS_CHANGED when verdicts were made with other versions than those in the file. Runs inside a write transaction. */
export function assertMeters(connection: Connection, revision: number | null | undefined): void {
  if (typeof revision !== "number" || revision === metersRevision(connection)) return;
  throw new MeterbookError("METER_METERS_CHANGED", "Another process changed the meters; nothing was stored.");
}

/** Remembers the latest time of an event, one with a wrong clock left out: versions that are added begin after it. */
export function noteNewestEvent(connection: Connection, entries: readonly IngestEntry[], now: number): void {
  let newest: number | null = null;
  for (const { event } of entries) {
    if (event.time <= now + limits.futureMs && (newest === null || event.time > newest)) newest = event.time;
  }
  if (newest === null) return;
  connection
    .sql("INSERT INTO meta VALUES ('newest_event', ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)")
    .run(newest);
}

// Versions are never deleted, so the last number is how many there are.
function metersRevision(connection: Connection): number {
  return connection.sql<number | null>("SELECT max(number) FROM meter_versions").pluck().get() ?? 0;
}
