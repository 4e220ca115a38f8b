import type { LatePolicy, MeterDefinition } from "../../core/meter.ts";
import { latePolicyOf, payerOf, reportDefinitions, type Closing, type Payer } from "./closing.ts";
import { WRITTEN_OFF } from "./late-usage.ts";
import { limits } from "../limits.ts";
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
  return placementOf(closing, { ...row, timestamp }, payer, policyFor(definitions, row));
}

/**
 * Gives held rows whose company has its one customer now that customer and an identifier; from then on they do not
 * change. Companies are looked at, not rows, so none is left out however many rows wait. `held` still wait.
 */
export async function releaseHeld(
  closing: Closing,
  modes: Pick<MeterModes, "keep">,
): Promise<{ readonly released: number; readonly held: number }> {
  const { store, now } = closing;
  const definitions = await reportDefinitions(closing);
  await endTooOld(closing, definitions);
  let released = 0;
  let held = 0;
  for (const { lane, payer } of await payers(closing, await store.heldLanes())) {
    if (payer.kind === "found") {
      await modes.keep(lane.reportAs, payer.keepsLast);
      const lanes = await releaseLane(closing, definitions, lane, payer);
      released += lanes.released;
      held += lanes.held;
      continue;
    }
    held += lane.rows;
    if (lane.reason !== payer.reason) await store.hold(lane, payer.reason, now);
  }
  return { released, held };
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

/** Releases a lane's rows; `held` are those that wait for another row of their window at the biller. */
async function releaseLane(
  closing: Closing,
  definitions: Definitions,
  { company, reportAs }: HeldLane,
  payer: Payer,
): Promise<{ readonly released: number; readonly held: number }> {
  const { store, account, now } = closing;
  await keepAccount(store, account);
  const limit = limits.releaseRowsMax;
  let released = 0;
  for (;;) {
    const rows = await store.outbox({ state: "held", final: false, company, reportAs, limit });
    const releases: Release[] = [];
    let ended = 0;
    let waiting = 0;
    for (const row of rows) {
      const placement = await placeHeld(closing, definitions, row, payer);
      if (placement === null) waiting += 1;
      else if (placement.customer !== null && placement.identifier !== null) releases.push(releaseOf(row, placement));
      else if (placement.state === "dead") ended += (await writeOff(closing, row)) ? 1 : 0;
      else if (placement.reason !== null) {
        await store.hold({ rowId: row.rowId }, placement.reason, now);
        ended += 1;
      }
    }
    const moved = (await closing.keepLease()) ? await store.release(releases, now) : 0;
    released += moved;
    if (rows.length < limit || moved + ended === 0) return { released, held: waiting };
  }
}

function releaseOf({ rowId }: OutboxRow, placement: Placement): Release {
  const { customer, identifier, timestamp, mode, reported, late } = placement;
  return { rowId, customer: customer ?? "", identifier: identifier ?? "", timestamp, mode, reported, late };
}
