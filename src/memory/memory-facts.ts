import { MeterbookError } from "../core/errors.ts";
import type { MeterVersion } from "../core/meter.ts";
import { limits } from "../engine/limits.ts";
import type { CustomerMapping, IngestEntry } from "../engine/ports.ts";

/** The small tables: versions of meters, the customer map, notes and leases. */
export class MemoryFacts {
  versions: readonly MeterVersion[] = [];
  private newestEvent: number | null = null;
  readonly notes = new Map<string, string>();
  private readonly customers = new Map<string, CustomerMapping>();
  private readonly leases = new Map<string, { holder: string; until: number }>();

  /** A copy that does not change with this one. */
  copy(): MemoryFacts {
    const copy = new MemoryFacts();
    copy.versions = this.versions;
    copy.newestEvent = this.newestEvent;
    for (const [name, value] of this.notes) copy.notes.set(name, value);
    copy.putMappings(this.mappings());
    return copy;
  }

  addVersions(versions: readonly MeterVersion[], revision: number): boolean {
    if (this.versions.length !== revision) return false;
    const from = this.newestEvent === null ? 0 : this.newestEvent + 1;
    const added = versions.map((version) => ({ ...version, effectiveFrom: Math.max(version.effectiveFrom, from) }));
    this.versions = [...this.versions, ...added];
    return true;
  }

  /** Adds versions that begin at their own instants. */
  replayVersions(versions: readonly MeterVersion[]): void {
    this.versions = [...this.versions, ...versions];
  }

  assertMeters(revision: number | null | undefined): void {
    if (typeof revision !== "number" || revision === this.versions.length) return;
    throw new MeterbookError("METER_METERS_CHANGED", "Another process changed the meters; nothing was stored.");
  }

  noteEvents(entries: readonly IngestEntry[], now: number): void {
    for (const { event } of entries) {
      if (event.time > now + limits.futureMs) continue;
      this.newestEvent = Math.max(this.newestEvent ?? event.time, event.time);
    }
  }

  mappings(companies?: readonly string[]): CustomerMapping[] {
    if (companies === undefined) return [...this.customers.values()];
    return [...new Set(companies)].flatMap((company) => this.customers.get(company) ?? []);
  }

  putMappings(mappings: readonly CustomerMapping[]): void {
    for (const mapping of mappings) this.customers.set(mapping.company, mapping);
  }

  lease(name: string, holder: string, now: number, leaseMs: number): boolean {
    const known = this.leases.get(name);
    const isRunning = known !== undefined && known.until > now && known.until <= now + limits.reporterLeaseMs;
    if (isRunning && known.holder !== holder) return false;
    if (leaseMs === 0) this.leases.delete(name);
    else this.leases.set(name, { holder, until: now + leaseMs });
    return true;
  }
}
