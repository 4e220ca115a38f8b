import { createHash } from "node:crypto";

import type { Catalog } from "../../core/catalog.ts";
import { correctedEvent, type FieldValue } from "../../core/corrected-event.ts";
import { MeterbookError } from "../../core/errors.ts";
import type { EventName, UsageEvent } from "../../core/event.ts";
import { explainSentence } from "../../core/explain.ts";
import { compilePath } from "../../core/field-path.ts";
import { owns } from "../../core/own-member.ts";
import { countsOf, holdsOf, settle, type SettledEvent } from "../ingest/amended-event.ts";
import { assertNotVoid, oneEvent, untilFresh } from "../ingest/assign.ts";
import { bucketsWithout } from "../ingest/bucket-changes.ts";
import { limits } from "../limits.ts";
import type { Correction, IngestEntry, Store, StoredEvent } from "../ports.ts";
import { usageChanges, type UsageChange } from "../usage/usage-change.ts";

/** The source of events that an operator made in place of wrong ones. */
const CORRECTION_SOURCE = "correction";

export interface CorrectionOrder {
  readonly store: Store;
  readonly catalog: Catalog;
  readonly id: string;
  /** Needed only where several sources used the same id. */
  readonly source?: string | undefined;
  /** What counts instead; null = the event is voided and nothing takes its place. */
  readonly instead: Instead | null;
  /** `operator:<name>`, and why; both are kept with the event. */
  readonly author: string;
  readonly cause: string;
  readonly now: number;
  /** Shows what would change, and changes nothing. */
  readonly dryRun: boolean;
}

/** Field values, or a value for the field that one meter reads. */
export type Instead =
  | { readonly values: readonly FieldValue[] }
  | { readonly meter: string; readonly text: string }
  /** The whole event; it gets a name of its own, and a mark of what it corrects. */
  | { readonly event: UsageEvent };

export interface CorrectionSummary {
  readonly event: EventName;
  /** The event that counts instead. */
  readonly replacement: UsageEvent | null;
  /** What meters say before and after, one sentence each; null = the meter says nothing. Only where that differs. */
  readonly verdicts: readonly {
    readonly meter: string;
    readonly before: string | null;
    readonly after: string | null;
  }[];
  readonly usage: readonly UsageChange[];
  readonly applied: boolean;
}

/**
 * Voids a stored event, or puts another value in its place: nothing is edited, an event that counts nothing any more stays
 * with author and cause, and its window's next report takes back what was reported. Throws METER_EVENT_NOT_FOUND,
 * METER_COMMAND_INVALID for an id of several sources, METER_CORRECTION_REFUSED for an event that is void already or a value that
 * cannot be set, METER_STORE_BUSY when usage moves as fast as it is corrected.
 */
export async function correctEvent(order: CorrectionOrder): Promise<CorrectionSummary> {
  return untilFresh(order.id, () => correctOnce(order));
}

/** Null when event, buckets or meters moved meanwhile. */
async function correctOnce(order: CorrectionOrder): Promise<CorrectionSummary | null> {
  const { store, catalog, author, cause, now } = order;
  const stored = oneEvent(await store.findEvents(order.id), order);
  assertNotVoid(stored);
  const before = settle(catalog, stored);
  const after = order.instead === null ? null : judged(order, stored, before.event, order.instead);
  const event = nameOf(stored.event);
  const replacement: IngestEntry | null =
    after === null
      ? null
      : { event: after.event, counts: countsOf(after, catalog, store.bucketMs), holds: holdsOf(after) };
  const buckets = await bucketsWithout(store, catalog, stored);
  const usage = await usageChanges(store, stored.event.time, buckets, replacement?.counts ?? []);
  const replacedBy = after === null ? {} : { replacedBy: nameOf(after.event) };
  const correction: Correction = {
    voiding: { ...event, closes: "void", cause, ...replacedBy, at: now, author },
    seen: stored.amendments.length,
    buckets,
    replacement,
  };
  const applied = order.dryRun ? null : await store.correct(correction, now, catalog.revision);
  if (applied === "taken") throw takenName(replacement?.event ?? stored.event);
  // Gone or changed: read again, it is not found, void or another one's.
  if (applied !== null && applied !== "done") return null;
  const verdicts = changedVerdicts(before, after);
  return { event, replacement: after?.event ?? null, verdicts, usage, applied: applied !== null };
}

/** The replacement and what the meters say of it. */
function judged(
  { catalog, now }: CorrectionOrder,
  stored: StoredEvent,
  known: UsageEvent,
  instead: Instead,
): SettledEvent {
  const whole = owns(instead, "event") ? instead.event : known;
  const values = owns(instead, "values")
    ? instead.values
    : owns(instead, "meter")
      ? [{ path: valuePath(catalog, known, instead.meter), text: instead.text }]
      : [];
  const corrects = { source: known.source, id: known.id };
  const name = { name: replacementName(stored.event), recordedAt: now };
  const event = { ...correctedEvent(whole, values, name), corrects };
  if (owns(instead, "meter")) {
    const verdict = catalog.explain(event).find(({ meter }) => meter === instead.meter);
    if (verdict?.kind === "skipped") throw refusal(`${instead.meter} does not count this event: ${verdict.reason}.`);
    // A value that is known waits only for its payer.
    if (verdict?.kind === "held" && verdict.value === null)
      throw refusal(`${instead.meter} would hold it: ${verdict.detail}.`);
  }
  return { event, verdicts: catalog.judge(event) };
}

/** The field that a meter takes its value from at the event's time. */
function valuePath(catalog: Catalog, event: UsageEvent, key: string): string {
  const definition = catalog.definitionAt(key, event.time);
  if (definition === null)
    throw new MeterbookError(
      "METER_UNKNOWN_METER",
      `No meter ${JSON.stringify(key)} was in force when the event happened.`,
      {
        remedy: `Known: ${catalog.meters.map((meter) => meter.key).join(", ")}.`,
      },
    );
  const { value } = definition;
  if (value === null)
    throw refusal(`${key} counts events and reads no value.`, "Void the event, or --set what the meter matches on.");
  const root = compilePath(value).segments?.[0];
  if (root === undefined || root === "fields")
    throw refusal(
      `${key} computes its value from ${value}.`,
      "Name what that is computed from with --set <field>=<value>.",
    );
  return value;
}

/** A name of its own for each corrected event, so that none is replaced twice: the id with a mark of what it corrects. */
function replacementName({ source, id }: UsageEvent): EventName {
  const mark = createHash("sha256")
    .update(JSON.stringify([source, id]))
    .digest("hex")
    .slice(0, MARK_LENGTH);
  const plain = source === CORRECTION_SOURCE ? id.replace(/~[0-9a-f]+$/, "") : id;
  // A cut through a character of two halves would leave a name that no store may take.
  const kept = plain.slice(0, limits.identifierLengthMax - 1 - MARK_LENGTH).replace(/[\ud800-\udbff]$/, "");
  return { source: CORRECTION_SOURCE, id: `${kept}~${mark}` };
}

const MARK_LENGTH = 16;

function changedVerdicts(before: SettledEvent, after: SettledEvent | null): CorrectionSummary["verdicts"] {
  const old = sentences(before);
  const next = after === null ? new Map<string, string>() : sentences(after);
  return [...new Set([...old.keys(), ...next.keys()])].flatMap((meter) => {
    const said = { meter, before: old.get(meter) ?? null, after: next.get(meter) ?? null };
    return said.before === said.after ? [] : [said];
  });
}

function sentences({ verdicts }: SettledEvent): Map<string, string> {
  return new Map(verdicts.map((verdict) => [verdict.meter, explainSentence(verdict)]));
}

function nameOf({ source, id }: UsageEvent): EventName {
  return { source, id };
}

function takenName({ source, id }: UsageEvent): MeterbookError {
  return refusal(`Another event has the name ${source} ${id} that the replacement would get.`);
}

function refusal(message: string, remedy?: string): MeterbookError {
  return new MeterbookError("METER_CORRECTION_REFUSED", message, remedy === undefined ? {} : { remedy });
}
