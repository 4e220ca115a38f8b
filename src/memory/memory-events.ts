import { fromInteger, type Decimal } from "../core/decimal.ts";
import type { UsageEvent } from "../core/event.ts";
import { isVoiding, voidingOf } from "../core/amended-event.ts";
import { canonicalEvent, isSameContent } from "../core/event-rules.ts";
import { ownMembers } from "../core/own-member.ts";
import { foldCounts, type Bucket, type CountedValue } from "../core/usage.ts";
import type {
  AmendedQuery,
  AmendStatus,
  BucketChange,
  Correction,
  CorrectionStatus,
  Count,
  EventQuery,
  ForgetQuery,
  Forgotten,
  HeldRow,
  Hold,
  IngestEntry,
  IngestKeep,
  IngestStatus,
  Replay,
  SpanQuery,
  StoreCounts,
  StoredAmendment,
  StoredEvent,
  StoredFact,
  UsageRevision,
} from "../engine/ports.ts";
import { forgetOldest } from "./memory-forgetting.ts";
import type { MemoryUsage } from "./memory-usage.ts";

interface KeptEvent {
  readonly seq: number;
  readonly event: UsageEvent;
  readonly amendments: StoredFact[];
  /** Meters that an amendment counted: a replayed amendment must not count them again. */
  readonly amendedMeters: Set<string>;
  holds: readonly Hold[];
}

/** What one event adds to the buckets. */
function countedValues(counts: readonly Count[], event: UsageEvent, seq: number): CountedValue[] {
  return counts.map((count) => ({ ...count, time: event.time, order: seq }));
}

/** Events with their later facts and open holds, in order of arrival. */
export class MemoryEvents {
  private kept: KeptEvent[] = [];
  /** The event of each amendment, in the order of the amendments. */
  private amended: number[] = [];
  private readonly byIdentity = new Map<string, KeptEvent>();
  /** What was refused, and when it first came. */
  private readonly refused = new Map<string, number>();
  private duplicates = 0;
  private lastSeq = 0;
  private purged = 0;
  /** Event time before which events may be deleted. */
  purgedUntil: number | null = null;

  /** A copy that does not change with this one. */
  copy(): MemoryEvents {
    const copy = new MemoryEvents();
    copy.kept = this.kept.map((kept) => {
      return { ...kept, amendments: [...kept.amendments], amendedMeters: new Set(kept.amendedMeters) };
    });
    for (const kept of copy.kept) copy.byIdentity.set(identityOf(kept.event), kept);
    for (const [content, at] of this.refused) copy.refused.set(content, at);
    copy.amended = [...this.amended];
    copy.duplicates = this.duplicates;
    copy.lastSeq = this.lastSeq;
    copy.purged = this.purged;
    copy.purgedUntil = this.purgedUntil;
    return copy;
  }

  /** `meters`: how many versions of meters there are. */
  revision(meters: number): UsageRevision {
    const amendments = this.amended.length;
    const texts = { changes: `${this.purged}/${amendments}/${meters}`, settled: `${this.purged}/${meters}` };
    return { lastSeq: this.lastSeq, amendments, ...texts };
  }

  wereAmended({ from, to, lastSeq, after, type }: AmendedQuery): boolean {
    const seqs = new Set(this.amended.slice(after).filter((seq) => seq <= lastSeq));
    return this.kept.some(
      ({ seq, event }) =>
        seqs.has(seq) && event.time >= from && event.time < to && (type === undefined || event.type === type),
    );
  }

  isAt({ lastSeq, changes }: UsageRevision, meters: number): boolean {
    const now = this.revision(meters);
    return now.lastSeq === lastSeq && now.changes === changes;
  }

  ingest(
    entries: readonly IngestEntry[],
    recordedAt: number,
    usage: MemoryUsage,
    keep: IngestKeep = "each",
  ): { readonly statuses: readonly IngestStatus[]; readonly isKept: boolean } {
    const fresh = new Map<string, KeptEvent>();
    const values: CountedValue[] = [];
    const refused: string[] = [];
    const statuses = entries.map(({ event, counts, holds }): IngestStatus => {
      const identity = identityOf(event);
      const known = this.byIdentity.get(identity) ?? fresh.get(identity);
      if (known === undefined) {
        const seq = this.lastSeq + fresh.size + 1;
        fresh.set(identity, { seq, event, amendments: [], amendedMeters: new Set(), holds });
        values.push(...countedValues(counts, event, seq));
        return "stored";
      }
      if (isSameContent(known.event, event)) return "duplicate";
      refused.push(canonicalEvent(event));
      return "conflict";
    });
    // Folding can refuse a value, so it comes before anything is changed.
    const added = foldCounts(values);
    if (keep === "none" || (keep === "all" && refused.length > 0)) return { statuses, isKept: false };
    usage.add(added);
    for (const [identity, kept] of fresh) this.byIdentity.set(identity, kept);
    this.kept.push(...fresh.values());
    this.lastSeq += fresh.size;
    for (const content of refused) this.refused.set(content, this.refused.get(content) ?? recordedAt);
    this.duplicates += statuses.filter((status) => status === "duplicate").length;
    return { statuses, isKept: true };
  }

  amend(
    amendment: StoredAmendment,
    counts: readonly Count[],
    holds: readonly Hold[],
    seen: number,
    usage: MemoryUsage,
  ): AmendStatus {
    const kept = this.byIdentity.get(identityOf(amendment));
    if (kept === undefined) return "no_event";
    if (kept.amendments.some((known) => sameFact(known, amendment))) return "done";
    if (kept.amendments.length !== seen) return "stale";
    const fresh = counts.filter(({ meter }) => !kept.amendedMeters.has(meter));
    usage.add(foldCounts(countedValues(fresh, kept.event, kept.seq)));
    for (const { meter } of fresh) kept.amendedMeters.add(meter);
    kept.amendments.push(amendment);
    this.amended.push(kept.seq);
    kept.holds = holds;
    return "done";
  }

  correct({ voiding, seen, buckets, replacement }: Correction, now: number, usage: MemoryUsage): CorrectionStatus {
    const kept = this.byIdentity.get(identityOf(voiding));
    if (kept === undefined) return "no_event";
    if (kept.amendments.length !== seen || voidingOf(kept.amendments) !== null) return "stale";
    if (!buckets.every((change) => usage.isAt(change) && this.isBasis(change, usage.bucketMs))) return "stale";
    if (replacement !== null && this.byIdentity.has(identityOf(replacement.event))) return "taken";
    usage.change(buckets);
    if (replacement !== null) this.ingest([replacement], now, usage);
    kept.amendments.push(ownMembers(voiding));
    this.amended.push(kept.seq);
    kept.holds = [];
    return "done";
  }

  /** Takes over what other versions of a meter say of these events. */
  rejudge({ from, to, holds }: Replay): void {
    for (const kept of this.kept) if (kept.event.time >= from && kept.event.time < to) kept.amendedMeters.clear();
    const bySeq = new Map(this.kept.map((kept) => [kept.seq, kept]));
    for (const each of holds) {
      const kept = bySeq.get(each.seq);
      if (kept !== undefined) kept.holds = each.holds;
    }
  }

  find(id: string): StoredEvent[] {
    return this.kept.filter(({ event }) => event.id === id).map(stored);
  }

  all(): StoredEvent[] {
    return this.kept.map(stored);
  }

  page(query: EventQuery): StoredEvent[] {
    return this.matching(query).slice(0, query.limit).map(stored);
  }

  span({ from, to, after, type, unheld, limit }: SpanQuery): StoredEvent[] {
    const found = this.kept.filter(
      ({ seq, event, event: { time }, holds }) =>
        (type === undefined || event.type === type) &&
        (from === undefined || time >= from) &&
        (to === undefined || time < to) &&
        (after === undefined || time > after.time || (time === after.time && seq > after.seq)) &&
        (unheld !== true || holds.length === 0),
    );
    return found
      .toSorted((a, b) => a.event.time - b.event.time || a.seq - b.seq)
      .slice(0, limit)
      .map(stored);
  }

  heldPage(query: EventQuery): HeldRow[] {
    const held = this.matching(query).filter(({ holds }) => holds.length > 0);
    return held.slice(0, query.limit).flatMap(({ seq, event, holds }) =>
      holds.map(({ meter, reason, detail, value }) => {
        return { seq, source: event.source, id: event.id, time: event.time, meter, reason, detail, value };
      }),
    );
  }

  purge(seqs: readonly number[], archive: readonly Bucket[], seen: number, usage: MemoryUsage): number {
    const asked = new Set(seqs);
    const gone = this.kept.filter(({ seq }) => asked.has(seq));
    const amendments = gone.reduce((sum, { amendments: each }) => sum + each.length, 0);
    if (gone.length === 0 || gone.length !== asked.size || amendments !== seen) return 0;
    usage.addArchive(archive);
    for (const { event } of gone) this.byIdentity.delete(identityOf(event));
    this.kept = this.kept.filter(({ seq }) => !asked.has(seq));
    this.purged += gone.length;
    this.purgedUntil = Math.max(this.purgedUntil ?? -Infinity, ...gone.map(({ event }) => event.time + 1));
    return gone.length;
  }

  forgetRefused(query: ForgetQuery): Forgotten {
    return forgetOldest(this.refused, query);
  }

  counts(): Omit<StoreCounts, "outbox"> {
    return {
      events: this.kept.length,
      heldEvents: this.kept.filter(({ holds }) => holds.length > 0).length,
      duplicates: this.duplicates,
      conflicts: this.refused.size,
      lastEventAt: this.kept.at(-1)?.event.time ?? null,
    };
  }

  holdTotals(): { meter: string; holds: number; value: Decimal }[] {
    const totals = new Map<string, { meter: string; holds: number; value: Decimal }>();
    for (const { meter, value } of this.kept.flatMap(({ holds }) => holds)) {
      const total = totals.get(meter) ?? { meter, holds: 0, value: fromInteger(0) };
      total.holds += 1;
      if (typeof value === "bigint") total.value += value;
      totals.set(meter, total);
    }
    return [...totals.values()];
  }

  private isBasis({ basis, start }: BucketChange, bucketMs: number): boolean {
    if (basis === null) return true;
    const inside = this.kept.filter(({ event: { time } }) => time >= start && time < start + bucketMs);
    const amendments = inside.reduce((sum, { amendments: each }) => sum + each.length, 0);
    return inside.length === basis.events && amendments === basis.amendments;
  }

  private matching(query: EventQuery): KeptEvent[] {
    const { from, to, company, type, afterSeq, beforeSeq } = query;
    const found = this.kept.filter(
      (kept) =>
        (from === undefined || kept.event.time >= from) &&
        (to === undefined || kept.event.time < to) &&
        (company === undefined || payerOf(kept) === company) &&
        (type === undefined || kept.event.type === type) &&
        (afterSeq === undefined || kept.seq > afterSeq) &&
        (beforeSeq === undefined || kept.seq < beforeSeq),
    );
    return query.order === "newest" ? found.toReversed() : found;
  }
}

function identityOf({ source, id }: { readonly source: string; readonly id: string }): string {
  return JSON.stringify([source, id]);
}

function stored({ seq, event, amendments }: KeptEvent): StoredEvent {
  return { seq, event, amendments: [...amendments] };
}

/** The event's own company, else that of the first amendment that names one: a payer who is known stays. */
export function payerOf({ event, amendments }: Pick<StoredEvent, "event" | "amendments">): string | null {
  const named = amendments.find((fact): fact is StoredAmendment => !isVoiding(fact) && fact.company !== undefined);
  return event.company ?? named?.company ?? null;
}

/** A replayed journal brings the same fact again, at another time. */
function sameFact(a: StoredFact, b: StoredAmendment): boolean {
  return !isVoiding(a) && factText(a) === factText(b);
}

function factText({ closes, company, user, aborted, faults, author }: StoredAmendment): string {
  const sorted = Object.entries(faults ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([closes, company ?? null, user ?? null, aborted ?? null, sorted, author]);
}
