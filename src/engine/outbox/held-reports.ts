import type { LatePolicy, MeterDefinition } from "../../core/meter.ts";
import { latePolicyOf, payerOf, reportDefinitions, type Closing, type Payer } from "./closing.ts";
import { noSubscriptionReason, waitsForSubscription, type PartCoverage, type RoundCoverage } from "./coverage.ts";
import { WRITTEN_OFF } from "./late-usage.ts";
import { limits } from "../limits.ts";
import { laneName, openLookedLanes, type LookedLanes } from "./looked-lanes.ts";
import type { MeterModes } from "./meter-modes.ts";
import { placementOf, releaseTimestamp, type Placement } from "./placement.ts";
import type { HeldLane, OutboxRow, Release } from "../ports.ts";
import { keepAccount } from "./report-account.ts";

/** A held row with the place that it would get now. */
export interface Reconsidered {
  readonly row: OutboxRow;
  readonly placement: Placement;
}

type Definitions = ReadonlyMap<string, MeterDefinition>;

/** What the held rows would be now, oldest window first; those that can never be sent come along. For a dry run. */
export async function reconsider(closing: Closing): Promise<readonly Reconsidered[]> {
  const { store } = closing;
  const limit = limits.heldRowsMax;
  const definitions = await reportDefinitions(closing);
  const considered: Reconsidered[] = [];
  for (const { lane, payer } of await payers(closing, await store.heldLanes())) {
    const { company, reportAs } = lane;
    for (const row of await store.outbox({ state: "held", final: false, company, reportAs, limit }))
      considered.push({ row, placement: (await placeHeld(closing, definitions, row, payer)) ?? stillHeld(row) });
  }
  for (const row of await store.outbox({ state: "held", final: true, limit }))
    considered.push({ row, placement: stillHeld(row) });
  return considered.toSorted((a, b) => a.row.windowStart - b.row.windowStart || a.row.sequence - b.row.sequence);
}

function stillHeld(row: OutboxRow): Placement {
  const { customer, identifier, reason, timestamp, mode, reported, late } = row;
  return { customer, identifier, state: "held", reason, timestamp, mode, reported, late };
}

async function placeHeld(
  closing: Closing,
  definitions: Definitions,
  row: OutboxRow,
  payer: Payer,
): Promise<Placement | null> {
  const timestamp = await releaseTimestamp(closing, row, payer);
  if (timestamp === null) return null;
  // An operator's word to carry it means whatever keeps it from an invoice of its own.
  return placementOf(closing, { ...row, timestamp }, payer, policyFor(definitions, row), row.late === "carry");
}

/**
 * Gives held rows whose company has its one customer now that customer and an identifier; from then on they do not
 * change. Companies are looked at, not rows, so none is left out however many rows wait. `held` still wait. Those that
 * wait for a subscription are asked for in turn, a few in each round, and their rows are read only when something is new.
 */
export async function releaseHeld(
  round: Closing & { readonly asking: RoundCoverage["asking"] },
  modes: Pick<MeterModes, "keep">,
): Promise<{ readonly released: number; readonly held: number }> {
  const { store, now } = round;
  const coverage = round.asking(limits.heldSubscriptionQuestionsMax);
  const closing: Closing = { ...round, coverage };
  const definitions = await reportDefinitions(closing);
  await endTooOld(closing, definitions);
  let released = 0;
  let held = 0;
  const lanes = inTurn(await store.heldLanes(), await store.getNote(ASKED_TO));
  const looked = await openLookedLanes(store, lanes, now);
  for (const { lane, payer } of await payers(closing, lanes)) {
    if (payer.kind === "found") {
      await modes.keep(lane.reportAs, payer.keepsLast);
      const asked = coverage.questions();
      const isNew = await hasNews(coverage, looked, lane, payer.customer);
      const done = isNew ? await releaseLane(closing, definitions, lane, payer) : { ...NOTHING_NEW, held: lane.rows };
      released += done.released;
      held += done.held;
      if (isNew && !done.isOpen)
        looked.keep(lane, await coverage.knownAs({ customer: payer.customer, reportAs: lane.reportAs }));
      if (coverage.questions() > asked && coverage.isSpent()) await store.putNote(ASKED_TO, laneName(lane));
      continue;
    }
    held += lane.rows;
    if (lane.reason !== payer.reason && !waitsForSubscription(lane)) await store.hold(lane, payer.reason, now);
  }
  await looked.write();
  return { released, held };
}

const NOTHING_NEW = { released: 0, isOpen: false };

/** The lane with which the last round ended its questions. */
const ASKED_TO = "held.asked_to";

/** Whether any row of a lane may have got another place: false for one that waits for a subscription, of which nothing new is told. */
async function hasNews(
  coverage: PartCoverage,
  looked: LookedLanes,
  lane: HeldLane,
  customer: string,
): Promise<boolean> {
  const billed = { customer, reportAs: lane.reportAs };
  if (lane.reason !== noSubscriptionReason(billed)) return true;
  return !looked.isAsBefore(lane, await coverage.knownAs(billed)) || coverage.asksAnew(billed);
}

/** The lanes in a fixed order that begins behind this one. */
function inTurn(lanes: readonly HeldLane[], askedTo: string | null): readonly HeldLane[] {
  const sorted = lanes.map((lane) => ({ lane, name: laneName(lane) })).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const next = askedTo === null ? [] : sorted.filter(({ name }) => name > askedTo);
  return [...next, ...sorted.slice(0, sorted.length - next.length)].map(({ lane }) => lane);
}

/** What is too old for the biller waits for no customer any more, unless it is to be carried into the present. */
async function endTooOld(closing: Closing, definitions: Definitions): Promise<void> {
  const { store, now } = closing;
  const before = now - limits.reportAgeMaxMs;
  const waiting = { state: "held", final: false, windowTo: before, limit: limits.heldRowsMax } as const;
  const old = (await store.outbox(waiting)).filter(({ timestamp }) => timestamp < before);
  if (old.length === 0) return;
  if (old.every((row) => policyFor(definitions, row) === "hold"))
    return store.hold({ timestampBefore: before }, "too_old", now);
  for (const row of old) {
    const policy = policyFor(definitions, row);
    if (policy === "hold") await store.hold({ rowId: row.rowId }, "too_old", now);
    else if (policy === "write_off") await writeOff(closing, row);
  }
}

/** An operator's word about one row goes before the meter's policy. */
function policyFor(definitions: Definitions, { meter, late }: OutboxRow): LatePolicy {
  return late === "carry" ? late : latePolicyOf(definitions.get(meter));
}

async function writeOff({ store, now }: Closing, { rowId }: OutboxRow): Promise<boolean> {
  return store.changeRow({ rowId, from: "held", to: "dead", reason: WRITTEN_OFF, author: "reporter" }, now);
}

/** Who pays for each lane. Companies that nobody was found for are asked for in one go, longest unasked first. */
async function payers(
  closing: Closing,
  lanes: readonly HeldLane[],
): Promise<readonly { readonly lane: HeldLane; readonly payer: Payer }[]> {
  const companies: string[] = [];
  for (const { company, reportAs } of lanes) {
    if ((await closing.meter(reportAs)).kind === "ready") companies.push(company);
  }
  await closing.customers.ask(companies);
  const answers: { lane: HeldLane; payer: Payer }[] = [];
  for (const lane of lanes) answers.push({ lane, payer: await payerOf(closing, lane) });
  return answers;
}

/**
 * Releases a lane's rows, page by page; `held` are those that wait: for a subscription, or another row of their window at the
 * biller. `isOpen`: some could be released in the next round, though nothing new is told of their customer.
 */
async function releaseLane(
  closing: Closing,
  definitions: Definitions,
  { company, reportAs }: HeldLane,
  payer: Payer,
): Promise<{ readonly released: number; readonly held: number; readonly isOpen: boolean }> {
  const { store, account, now } = closing;
  const canWait = payer.kind === "none" || payer.keepsLast !== null;
  let isOpen = false;
  await keepAccount(store, account);
  const limit = limits.releaseRowsMax;
  let released = 0;
  let held = 0;
  let windowFrom = Number.MIN_SAFE_INTEGER;
  // Rows that wait stay where they are: they are read over, with those of the window that a page ended in.
  let seen: ReadonlySet<number> = new Set();
  for (;;) {
    const found = { state: "held", final: false, company, reportAs, windowFrom, limit: limit + seen.size } as const;
    const rows = await store.outbox(found);
    const releases: Release[] = [];
    const waiting = new Set<number>();
    for (const row of rows) {
      if (seen.has(row.rowId)) continue;
      const placement = await placeHeld(closing, definitions, row, payer);
      // Where reports add up, nothing but an answer of the biller is waited for.
      if (placement === null && canWait) isOpen = true;
      if (placement !== null && placement.customer !== null && placement.identifier !== null)
        releases.push(releaseOf(row, placement));
      else if (await staysHeld(closing, row, placement)) waiting.add(row.rowId);
    }
    const done = (await closing.keepLease()) ? await store.release(releases, now) : 0;
    if (done < releases.length) isOpen = true;
    released += done;
    held += waiting.size;
    const last = rows.at(-1);
    if (last === undefined || rows.length < limit + seen.size) return { released, held, isOpen };
    seen = new Set(rows.filter(({ windowEnd }) => windowEnd > last.windowStart).map(({ rowId }) => rowId));
    windowFrom = last.windowStart;
  }
}

/** Keeps what is to be said of a row that is not sent; false = it does not wait any more. */
async function staysHeld(closing: Closing, row: OutboxRow, placement: Placement | null): Promise<boolean> {
  if (placement === null) return true;
  const { state, reason } = placement;
  if (state === "dead") return !(await writeOff(closing, row));
  if (reason !== null && reason !== row.reason) await closing.store.hold({ rowId: row.rowId }, reason, closing.now);
  return waitsForSubscription(placement);
}

function releaseOf({ rowId }: OutboxRow, placement: Placement): Release {
  const { customer, identifier, timestamp, mode, reported, late } = placement;
  return { rowId, customer: customer ?? "", identifier: identifier ?? "", timestamp, mode, reported, late };
}
