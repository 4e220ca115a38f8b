import { MeterbookError } from "../core/errors.ts";
import type { MeterDefinition, MeterOrigin, MeterVersion, ReplayNote, UnknownIdentity } from "../core/meter.ts";
import { ownMembers } from "../core/own-member.ts";
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
  replayed: string | null,
  origin: MeterOrigin | null,
];

/** Versions of meters in the order in which they were added. */
export function readMeterVersions(connection: Connection): MeterVersion[] {
  const rows = connection
    .sql<VersionRow>(
      "SELECT version, effective_from, definition, fields, unknown_identity, ended, replayed, origin FROM meter_versions ORDER BY number",
    )
    .raw()
    .all();
  return rows.map(([version, effectiveFrom, definition, fields, unknownIdentity, ended, replayed, origin]) => {
    const parsed: MeterDefinition = JSON.parse(definition);
    const note: ReplayNote | null = replayed === null ? null : JSON.parse(replayed);
    const texts: Readonly<Record<string, string>> | null = fields === null ? null : JSON.parse(fields);
    return {
      definition: parsed,
      version,
      effectiveFrom,
      ...(texts === null ? {} : { fields: texts }),
      ...(unknownIdentity === null ? {} : { unknownIdentity }),
      ...(ended === 1 ? { ended: true } : {}),
      ...(note === null ? {} : { replayed: note }),
      ...(origin === null ? {} : { origin }),
    };
  });
}

/** Adds versions behind every stored event; false when others were added since. Runs inside a write transaction. */
export function addMeterVersions(connection: Connection, versions: readonly MeterVersion[], revision: number): boolean {
  if (metersRevision(connection) !== revision) return false;
  const newest = getMeta(connection, "newest_event");
  const behind = newest === null ? -Infinity : newest + 1;
  insertVersions(
    connection,
    versions.map((version) => ({ ...version, effectiveFrom: Math.max(version.effectiveFrom, behind) })),
  );
  return true;
}

/** Adds versions at exactly their instants. Runs inside a write transaction. */
export function insertVersions(connection: Connection, versions: readonly MeterVersion[]): void {
  const insert = connection.sql(
    "INSERT INTO meter_versions (meter, version, effective_from, definition, fields, unknown_identity, ended, replayed, origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
  );
  for (const added of versions) {
    const { definition, version, effectiveFrom, fields, unknownIdentity, ended, replayed, origin } = ownMembers(added);
    insert.run(
      definition.key,
      version,
      effectiveFrom,
      JSON.stringify(definition),
      fields === undefined ? null : JSON.stringify(fields),
      unknownIdentity ?? null,
      ended === true ? 1 : 0,
      replayed === undefined ? null : JSON.stringify(replayed),
      origin ?? null,
    );
  }
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

/** How many versions there are: none is ever deleted, so it is the last number. */
export function metersRevision(connection: Connection): number {
  return connection.sql<number | null>("SELECT max(number) FROM meter_versions").pluck().get() ?? 0;
}
