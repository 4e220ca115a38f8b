import { MeterbookError } from "../../core/errors.ts";
import { isRejected } from "../delivery/biller-notices.ts";
import { limits } from "../limits.ts";
import { waitsForSubscription } from "../outbox/coverage.ts";
import { knownModes } from "../outbox/meter-modes.ts";
import type { OutboxRow, OutboxState, RowChange, Store } from "../ports.ts";
import { isStillTotal } from "../outbox/set-mode.ts";

/** What an operator may decide about a report that nobody else can decide about. */
export const ROW_ORDERS = ["delivered", "resend", "write-off", "carry"] as const;
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
}

/**
 * Carries out an operator's word about one report: the biller has it (`delivered`), it must go out once more (`resend`),
 * nobody is ever billed for it (`write-off`), or usage that has no invoice of its own goes onto the present one (`carry`).
 * The report itself is not edited. Throws METER_CORRECTION_REFUSED when there is no such row, or that cannot be decided of a row in its state.
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
  const [row] = await store.outbox({ rowId, limit: 1 });
  if (row === undefined) throw refusal(`There is no report ${rowId}.`, "`meterbook outbox` lists their numbers.");
  const outcome = OUTCOMES[as](row);
  if (outcome === null) throw refusal(`Report ${rowId} is ${stateOf(row)}, and cannot become ${as}.`, POSSIBLE[as]);
  if (outcome.resend === true) await assertResendable(store, row, now);
  if (dryRun) return { row, to: outcome.to, applied: false };
  const change: RowChange = { rowId, from: row.state, reason: `${as}: ${cause}`, author, ...outcome };
  if (await store.changeRow(change, now)) return { row, to: outcome.to, applied: true };
  throw refusal(`Report ${rowId} is not ${row.state} any more; nothing was changed.`, "Look at it again.");
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

const POSSIBLE: Readonly<Record<RowOrder, string>> = {
  delivered: "A report in conflict can be said to be delivered.",
  resend: "A report that is dead or in conflict can be sent again.",
  "write-off": "A report that is held or in conflict can be written off.",
  carry:
    "A report that was held or written off because it came too late, or is held for want of a subscription, can be carried.",
};

type Outcome = Pick<RowChange, "to" | "resend" | "late">;

const OUTCOMES: Readonly<Record<RowOrder, (row: OutboxRow) => Outcome | null>> = {
  delivered: ({ state }) => (state === "conflict" ? { to: "accepted" } : null),
  resend: ({ state, identifier }) => {
    if (state !== "dead" && state !== "conflict") return null;
    // What never had a customer is first to get one.
    return identifier === null ? { to: "held" } : { to: "pending", resend: true };
  },
  "write-off": ({ state }) => (state === "held" || state === "conflict" ? { to: "dead" } : null),
  carry: (row) =>
    isOnNoInvoice(row) && (row.identifier === null || row.state === "held") ? { to: "held", late: "carry" } : null,
};

function isOnNoInvoice(row: OutboxRow): boolean {
  const { state, reason, late } = row;
  if (state === "held") return reason === "late_usage" || reason === "too_old" || waitsForSubscription(row);
  return state === "dead" && late === "write_off";
}

function stateOf({ state, reason }: OutboxRow): string {
  return reason === null ? state : `${state} (${reason})`;
}

function refusal(message: string, remedy: string): MeterbookError {
  return new MeterbookError("METER_CORRECTION_REFUSED", message, { remedy });
}
