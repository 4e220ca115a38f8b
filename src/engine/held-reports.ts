import { limits } from "./limits.ts";
import { addressOf, payerOf, type Address, type Closing, type Payer } from "./outbox.ts";
import type { HeldLane, OutboxRow } from "./ports.ts";
import { keepAccount } from "./report-account.ts";

/** A held row with what it would be sent as now. */
export interface Reconsidered {
  readonly row: OutboxRow;
  readonly address: Address;
}

/** What the held rows would be now, oldest window first; those that can never be sent come along. For a dry run. */
export async function reconsider(closing: Closing): Promise<readonly Reconsidered[]> {
  const { store } = closing;
  const limit = limits.heldRowsMax;
  const considered: Reconsidered[] = [];
  for (const { lane, payer } of await payers(closing, await store.heldLanes())) {
    const { company, reportAs } = lane;
    for (const row of await store.outbox({ state: "held", final: false, company, reportAs, limit }))
      considered.push({ row, address: addressOf(closing, row, payer) });
  }
  for (const row of await store.outbox({ state: "held", final: true, limit })) {
    const { customer, identifier, reason } = row;
    considered.push({ row, address: { customer, identifier, state: "held", reason } });
  }
  return considered.toSorted((a, b) => a.row.windowStart - b.row.windowStart || a.row.sequence - b.row.sequence);
}

/**
 * Gives held rows whose company has its one customer now that customer and an identifier; from then on they do not
 * change. Companies are looked at, not rows, so none is left out however many rows wait. `held` still wait.
 */
export async function releaseHeld(closing: Closing): Promise<{ readonly released: number; readonly held: number }> {
  const { store, now } = closing;
  await store.hold({ timestampBefore: now - limits.reportAgeMaxMs }, "too_old");
  let released = 0;
  let held = 0;
  for (const { lane, payer } of await payers(closing, await store.heldLanes())) {
    if ("customer" in payer) {
      released += await releaseLane(closing, lane, payer);
      continue;
    }
    held += lane.rows;
    if (lane.reason !== payer.reason) await store.hold(lane, payer.reason);
  }
  return { released, held };
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

async function releaseLane(closing: Closing, { company, reportAs }: HeldLane, payer: Payer): Promise<number> {
  const { store, account } = closing;
  await keepAccount(store, account);
  let released = 0;
  for (;;) {
    const limit = limits.releaseRowsMax;
    const rows = await store.outbox({ state: "held", final: false, company, reportAs, limit });
    const releases = [];
    let stay = 0;
    for (const { row, address } of rows.map((each) => ({ row: each, address: addressOf(closing, each, payer) }))) {
      const { customer, identifier, reason } = address;
      if (customer !== null && identifier !== null) releases.push({ rowId: row.rowId, customer, identifier });
      else if (reason !== null) {
        await store.hold({ rowId: row.rowId }, reason);
        stay += 1;
      }
    }
    const moved = await store.release(releases);
    released += moved;
    if (rows.length < limit || moved + stay === 0) return released;
  }
}
