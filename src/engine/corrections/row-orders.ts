import { MeterbookError } from "../../core/errors.ts";
import { isRejected } from "../delivery/biller-notices.ts";
import { LATE_AT_GATE } from "../delivery/delivery-gates.ts";
import { limits } from "../limits.ts";
import { theReport } from "./cancel.ts";
import { isBegun, isCounterpart, isReaddressable, isRefusedForSure, readdress, readdressedRows } from "./readdress.ts";
import { waitsForSubscription } from "../outbox/coverage.ts";
import { knownModes } from "../outbox/meter-modes.ts";
import type { OutboxRow, OutboxState, RowChange, Store } from "../ports.ts";
import { isStillTotal } from "../outbox/set-mode.ts";

/** What an operator may decide about a report that nobody else can decide about. */
export const ROW_ORDERS = ["delivered", "resend", "readdress", "write-off", "carry"] as const;
export type RowOrder = (typeof ROW_ORDERS)[number];

export interface RowResolution {
  readonly store: Store;
  readonly rowId: number;
  readonly as: RowOrder;
  /** `operator:<name>`, and why; both stay in the row's history. */
  readonly author: string;
  readonly cause: string;
  readonly now: number;
  /** Shows what would change, and changes nothing. */
  readonly dryRun: boolean;
}

export interface ResolvedRow {
  readonly row: OutboxRow;
  readonly to: OutboxState;
  readonly applied: boolean;
  /** The row that says a readdressed report's usage from now on; null for the other orders, and for a dry run. */
  readonly anew: OutboxRow | null;
}

/**
 * Carries out an operator's word about one report: the biller has it (`delivered`), it must go out once more (`resend`),
 * its usage must go to the customer that its company has now (`readdress`), nobody is ever billed for it (`write-off`), or
 * usage that has no invoice of its own goes onto the present one (`carry`). The report itself is not edited. Throws
 * METER_UNKNOWN_REPORT when there is no such row, and METER_CORRECTION_REFUSED when that cannot be decided of a row in its
 * state.
 */
export async function resolveRow({
  store,
  rowId,
  as,
  author,
  cause,
  now,
  dryRun,
}: RowResolution): Promise<ResolvedRow> {
  const row = await theReport(store, String(rowId));
  const outcome = outcomeOf(as, row);
  if (outcome === null) throw refusal(`${as} does not fit report ${rowId}: it is ${stateOf(row)}.`, possibleFor(row));
  if (as !== "readdress" || !isBegun(row)) await assertNotReaddressed(store, row);
  if (outcome.resend === true) await assertResendable(store, row, now);
  if (as === "readdress") await assertRefused(store, row);
  if (dryRun) return { row, to: outcome.to, applied: false, anew: null };
  if (as === "readdress") {
    const { anew } = await readdress(store, row, { author, cause, now });
    return { row, to: outcome.to, applied: true, anew };
  }
  const { state: from, reason: seenReason } = row;
  const change: RowChange = { rowId, from, seenReason, reason: `${as}: ${cause}`, author, ...outcome };
  if (await store.changeRow(change, now)) return { row, to: outcome.to, applied: true, anew: null };
  throw refusal(`Report ${rowId} is not ${stateOf(row)} any more; nothing was changed.`, "Look at it again.");
}

/** Its usage is another row's by now. */
async function assertNotReaddressed(store: Store, row: OutboxRow): Promise<void> {
  const made = row.kind === "usage" ? await readdressedRows(store, row) : null;
  if (made === null) return;
  const { rowId } = made.anew;
  throw refusal(`Report ${row.rowId} was addressed anew: row ${rowId} has its usage.`, `Decide about row ${rowId}.`);
}

/** Usage that the biller may have counted for one customer must not be said to another one. */
async function assertRefused(store: Store, row: OutboxRow): Promise<void> {
  if (await isRefusedForSure(store, row)) return;
  throw refusal(
    `It is not certain that Stripe counted nothing of report ${row.rowId}.`,
    "Compare it with Stripe's books, and correct its events when it is not there.",
  );
}

/** What would be answered as delivered though it never counted, or would take the place of other usage, may not go out. */
async function assertResendable(store: Store, row: OutboxRow, now: number): Promise<void> {
  const { rowId, reportAs, mode, lastAttemptAt } = row;
  const forgottenAt = (lastAttemptAt ?? 0) + limits.identifierMemoryMs;
  if (isRejected(row) && now < forgottenAt)
    throw refusal(
      `Stripe refused report ${rowId} after it had taken it, and would answer it as delivered while it remembers its identifier.`,
      `Send it again after ${new Date(forgottenAt).toISOString()}.`,
    );
  if (mode !== "set") return;
  const addsUp = (await knownModes(store))[reportAs];
  if (await isStillTotal(store, row, addsUp === "hour" ? "hour" : "day")) return;
  throw refusal(
    `Report ${rowId} says a total that its window at Stripe is past: it would take the place of later ones.`,
    "Bill its usage by hand, and leave or write off the report.",
  );
}

/** What can be ordered of a report in its state, in words. */
function possibleFor(row: OutboxRow): string {
  const orders = ROW_ORDERS.filter((order) => outcomeOf(order, row) !== null);
  const [first, ...others] = orders;
  if (first === undefined) return WITHOUT_ORDERS[row.state] ?? "Look at it again.";
  return `Of this report can be said: ${[first, ...others].map((order) => `${order} (${MEANINGS[order]})`).join(", ")}.`;
}

const MEANINGS: Readonly<Record<RowOrder, string>> = {
  delivered: "Stripe has it",
  resend: "it goes out once more",
  readdress: "its usage goes to the customer that its company has now",
  "write-off": "nobody is billed for it",
  carry: "onto the present invoice",
};

/** Nothing is to be decided about such a report, and what can be done instead. */
const WITHOUT_ORDERS: Partial<Readonly<Record<OutboxState, string>>> = {
  accepted:
    "It is done, and nothing is to be decided; `meterbook correct cancel` takes back what Stripe got within a day.",
  settled:
    "Stripe's books show it, and nothing is to be decided; `meterbook correct cancel` takes it back within a day.",
  pending: "It is on its way by itself; look at it again after the next rounds of reporting.",
  sending: "It is being sent right now; look at it again in a minute.",
  dead: "Its usage is with another row, or corrected by its events.",
};

type Outcome = Pick<RowChange, "to" | "resend" | "late">;

/** What an order makes of a row; null when it does not fit. Of what is being addressed anew only that order does. */
function outcomeOf(as: RowOrder, row: OutboxRow): Outcome | null {
  return isBegun(row) && as !== "readdress" ? null : OUTCOMES[as](row);
}

const OUTCOMES: Readonly<Record<RowOrder, (row: OutboxRow) => Outcome | null>> = {
  delivered: ({ state }) => (state === "conflict" ? { to: "accepted" } : null),
  resend: (row) => {
    const { state, identifier } = row;
    if (state !== "dead" && state !== "conflict") return null;
    if (isCounterpart(row)) return null;
    // What never had a customer is first to get one.
    return identifier === null ? { to: "held" } : { to: "pending", resend: true };
  },
  readdress: (row) => (isReaddressable(row) ? { to: "dead" } : null),
  "write-off": ({ state }) => (state === "held" || state === "conflict" ? { to: "dead" } : null),
  carry: (row) =>
    isOnNoInvoice(row) && (row.identifier === null || row.state === "held") ? { to: "held", late: "carry" } : null,
};

function isOnNoInvoice(row: OutboxRow): boolean {
  const { state, reason, late } = row;
  if (state === "held") return reason !== null && (TOO_LATE.includes(reason) || waitsForSubscription(row));
  return state === "dead" && late === "write_off";
}

const TOO_LATE: readonly string[] = ["late_usage", "too_old", LATE_AT_GATE];

function stateOf({ state, reason }: OutboxRow): string {
  return reason === null ? state : `${state} (${reason})`;
}

function refusal(message: string, remedy: string): MeterbookError {
  return new MeterbookError("METER_CORRECTION_REFUSED", message, { remedy });
}
