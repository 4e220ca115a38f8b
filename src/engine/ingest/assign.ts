import { voidingOf } from "../../core/amended-event.ts";
import type { Catalog } from "../../core/catalog.ts";
import { MeterbookError } from "../../core/errors.ts";
import { checkIdentifier } from "../../core/event-rules.ts";
import type { Amendment } from "../../core/event.ts";
import { countsOf, holdsOf, settle } from "./amended-event.ts";
import { limits } from "../limits.ts";
import type { AmendStatus, Store, StoredEvent } from "../ports.ts";

/**
 * Adds a later fact to a stored event: who it was for, or how it ended. Meters that did not count the event before
 * count it now, at its own time. False when no such event is stored.
 */
export async function amendEvent(
  store: Store,
  catalog: Catalog,
  amendment: Amendment,
  author: string,
  now: number,
): Promise<boolean> {
  return untilFresh(amendment.id, async () => {
    const found = await store.findEvents(amendment.id);
    const stored = found.find(({ event }) => event.source === amendment.source);
    if (stored === undefined) return false;
    const { status } = await amendStored(store, catalog, stored, amendment, author, now);
    return status === "stale" ? null : status === "done";
  });
}

export interface Assignment {
  readonly store: Store;
  readonly catalog: Catalog;
  readonly id: string;
  /** Needed only where several sources used the same id. */
  readonly source?: string;
  readonly company: string;
  /** Who decided it; kept with the event. */
  readonly author: string;
  readonly now: number;
}

export interface AssignmentSummary {
  /** False when the event was this company's already. */
  readonly assigned: boolean;
  /** Meters that count the event now and did not before. */
  readonly counted: readonly string[];
}

/**
 * Says who an event was for. Doing it again changes nothing. Throws METER_EVENT_NOT_FOUND, or METER_COMMAND_INVALID for
 * an event of another company, an unusable company id, or an id that several sources used.
 */
export async function assignCompany(assignment: Assignment): Promise<AssignmentSummary> {
  const { id, company } = assignment;
  if (checkIdentifier(company, limits.identifierLengthMax) !== null) {
    throw new MeterbookError("METER_COMMAND_INVALID", "The company id is empty, too long or has control characters.");
  }
  return untilFresh(id, () => assignOnce(assignment));
}

/** Null when the event got another amendment meanwhile: it may be another company's now. */
async function assignOnce(assignment: Assignment): Promise<AssignmentSummary | null> {
  const { store, catalog, id, company, author, now } = assignment;
  const stored = oneEvent(await store.findEvents(id), assignment);
  assertNotVoid(stored);
  const payer = settle(catalog, stored).event.company;
  if (payer === company) return { assigned: false, counted: [] };
  if (payer !== null) {
    throw new MeterbookError(
      "METER_COMMAND_INVALID",
      `Event ${id} is ${payer}'s; only events without a company are assigned.`,
    );
  }
  const amendment: Amendment = { source: stored.event.source, id, closes: "identity", company };
  const { status, counted } = await amendStored(store, catalog, stored, amendment, author, now);
  // Gone: read again, it is not found.
  return status === "done" ? { assigned: true, counted } : null;
}

/** Does it again as long as it was computed from what another amendment changed meanwhile. METER_STORE_BUSY at the bound. */
export async function untilFresh<Result>(id: string, attempt: () => Promise<Result | null>): Promise<Result> {
  for (let tries = 0; tries < limits.amendTriesMax; tries++) {
    const result = await attempt();
    if (result !== null) return result;
  }
  throw new MeterbookError("METER_STORE_BUSY", `Event ${id} was changed again each time it was to be amended.`, {
    remedy: "Try again.",
  });
}

/** Amends the event as it was read; `counted` are the meters that count it only now. */
async function amendStored(
  store: Store,
  catalog: Catalog,
  stored: StoredEvent,
  amendment: Amendment,
  author: string,
  now: number,
): Promise<{ readonly status: AmendStatus; readonly counted: readonly string[] }> {
  const before = new Set(countsOf(settle(catalog, stored), catalog, store.bucketMs).map(({ meter }) => meter));
  const after = settle(catalog, { event: stored.event, amendments: [...stored.amendments, amendment] });
  const counts = countsOf(after, catalog, store.bucketMs).filter(({ meter }) => !before.has(meter));
  const seen = stored.amendments.length;
  const fact = { ...amendment, at: now, author };
  const status = await store.amend(fact, counts, holdsOf(after), seen, catalog.revision);
  return { status, counted: counts.map(({ meter }) => meter) };
}

/** METER_CORRECTION_REFUSED for an event that an operator voided: it counts for nothing, and that is not undone. */
export function assertNotVoid({ event, amendments }: StoredEvent): void {
  const voiding = voidingOf(amendments);
  if (voiding === null) return;
  const { replacedBy } = voiding;
  throw new MeterbookError(
    "METER_CORRECTION_REFUSED",
    `Event ${event.id} was voided by ${voiding.author}: ${voiding.cause}.`,
    {
      remedy:
        replacedBy === undefined
          ? "Send what is right as a new event."
          : `Correct ${replacedBy.id}, which counts instead.`,
    },
  );
}

/** The stored event that is meant. METER_EVENT_NOT_FOUND, or METER_COMMAND_INVALID for an id that several sources used. */
export function oneEvent(
  found: readonly StoredEvent[],
  { id, source }: { readonly id: string; readonly source?: string | undefined },
): StoredEvent {
  const fitting = source === undefined ? found : found.filter(({ event }) => event.source === source);
  const [stored, ...others] = fitting;
  if (stored === undefined) {
    throw new MeterbookError("METER_EVENT_NOT_FOUND", `No event has the id ${JSON.stringify(id)}.`, {
      remedy: "`meterbook events` and `meterbook held list` show ids.",
    });
  }
  if (others.length > 0) {
    const sources = fitting.map(({ event }) => event.source).join(", ");
    throw new MeterbookError("METER_COMMAND_INVALID", `The id ${id} was used by several sources: ${sources}.`);
  }
  return stored;
}
