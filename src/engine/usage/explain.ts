import type { Catalog } from "../../core/catalog.ts";
import { formatDecimal } from "../../core/decimal.ts";
import { MeterbookError } from "../../core/errors.ts";
import { voidingOf } from "../../core/amended-event.ts";
import type { UsageEvent, Voiding } from "../../core/event.ts";
import type { MeteredValue, Verdict } from "../../core/verdict.ts";
import { settle } from "../ingest/amended-event.ts";
import { limits } from "../limits.ts";
import type { OutboxRow, OutboxState, RowKind, Store, StoredVoiding } from "../ports.ts";
import { reportWindowAt } from "./usage-change.ts";

/** The report that covers an event's window. */
interface ExplainedRecord {
  readonly identifier: string | null;
  readonly state: OutboxState;
  readonly customer: string | null;
  /** What was or will be sent for the whole window: exact decimal text. */
  readonly value: string;
  readonly reason: string | null;
  readonly sequence: number;
  /** Later reports of the same window, for usage that came late or was corrected. */
  readonly corrections: number;
  readonly requestIds: readonly string[];
  /** All reports of the window, in order, where there are several. */
  readonly all?: readonly RecordPart[];
}

/** One of several reports of a window: its first, a correction, or one that takes another back. */
interface RecordPart {
  readonly row: number;
  readonly kind: RowKind;
  readonly sequence: number;
  readonly identifier: string | null;
  readonly state: OutboxState;
  readonly customer: string | null;
  readonly value: string;
  readonly reason: string | null;
}

/** What one meter made of an event; the contract of `meterbook explain --json`. */
type ExplainedVerdict = {
  readonly meter: string;
  /** Exact decimal text, or the text that `unique` counts; null when nothing was taken from the event. */
  readonly value: string | null;
  /** True when it is kept and waits. */
  readonly held: boolean;
  /** The report window that it was counted in; null when it was not. */
  readonly window: { readonly from: number; readonly to: number } | null;
  /** Null as long as the window is not closed, and for meters that are not reported. */
  readonly record: ExplainedRecord | null;
} & (
  | { readonly counted: true; readonly reason: null }
  /** The first failing line, or why it is held. */
  | { readonly counted: false; readonly reason: string }
);

export interface Explanation {
  /** The event as it is known now, later facts included. */
  readonly event: UsageEvent;
  readonly verdicts: readonly ExplainedVerdict[];
  /** An operator's word that it counts for nothing; null when there is none. */
  readonly voided: (Pick<Voiding, "cause" | "replacedBy"> & { readonly author: string; readonly at: number }) | null;
  /** Other sources that used the same id; the oldest event is explained unless one is named. */
  readonly otherSources: readonly string[];
}

/** Why an event was counted or not by each meter, and where it was reported. Throws METER_EVENT_NOT_FOUND. */
export async function explainEvent(store: Store, catalog: Catalog, id: string, source?: string): Promise<Explanation> {
  const found = await store.findEvents(id);
  const stored = source === undefined ? found[0] : found.find(({ event }) => event.source === source);
  if (stored === undefined) {
    throw new MeterbookError("METER_EVENT_NOT_FOUND", `No event has the id ${JSON.stringify(id)}.`, {
      remedy: "`meterbook events` lists ids. Events older than storage.keepEvents are gone; their usage is not.",
    });
  }
  const { event, verdicts } = settle(catalog, stored, (known) => catalog.explain(known));
  const explained: ExplainedVerdict[] = [];
  for (const verdict of verdicts) explained.push(await explainVerdict(store, event, verdict));
  const otherSources = found.flatMap((other) => (other === stored ? [] : [other.event.source]));
  const voiding = voidingOf(stored.amendments);
  return { event, verdicts: explained, voided: voiding === null ? null : voidedBy(voiding), otherSources };
}

async function explainVerdict(store: Store, event: UsageEvent, verdict: Verdict): Promise<ExplainedVerdict> {
  const { meter } = verdict;
  const nowhere = { window: null, record: null };
  if (verdict.kind === "skipped")
    return { meter, counted: false, held: false, value: null, reason: verdict.reason, ...nowhere };
  const value = verdict.value === null ? null : valueText(verdict.value);
  if (verdict.kind === "held" || event.company === null) {
    const reason = verdict.kind === "held" ? `held, ${verdict.reason}: ${verdict.detail}` : "held: nobody pays";
    return { meter, counted: false, held: true, value, reason, ...nowhere };
  }
  const rows = await store.outbox({
    meter,
    company: event.company,
    windowFrom: event.time,
    windowTo: event.time + 1,
    limit: limits.closeWindowsMax,
  });
  const [first, ...later] = rows.toSorted((a, b) => a.sequence - b.sequence);
  const window =
    first === undefined ? await reportWindowAt(store, event.time) : { from: first.windowStart, to: first.windowEnd };
  return {
    meter,
    counted: true,
    held: false,
    value,
    reason: null,
    window,
    record: first === undefined ? null : recordOf(first, later),
  };
}

function recordOf(row: OutboxRow, later: readonly OutboxRow[]): ExplainedRecord {
  const { identifier, state, customer, value, reason, sequence, requestIds } = row;
  const all = later.length === 0 ? {} : { all: [row, ...later].map(partOf) };
  const facts = { identifier, state, customer, value: formatDecimal(value), reason, sequence };
  return { ...facts, corrections: later.length, requestIds, ...all };
}

function partOf({ rowId: row, kind, sequence, identifier, state, customer, value, reason }: OutboxRow): RecordPart {
  return { row, kind, sequence, identifier, state, customer, value: formatDecimal(value), reason };
}

function voidedBy({ author, at, cause, replacedBy }: StoredVoiding): Explanation["voided"] {
  return { author, at, cause, ...(replacedBy === undefined ? {} : { replacedBy }) };
}

/** A metered value as text. */
function valueText(value: MeteredValue): string {
  return typeof value === "string" ? value : formatDecimal(value);
}
