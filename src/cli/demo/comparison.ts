import { formatDecimal } from "../../core/decimal.ts";
import { queryUsage } from "../../engine/usage/usage-query.ts";
import type { MeterNode } from "../../runtime/node.ts";
import type { LocalStripe } from "../../testing/index.ts";
import { DEMO_COMPANIES } from "./demo-world.ts";

/** What we counted, what Stripe's ledger holds, and what is held, for one company and meter; all as decimal strings. */
export interface BookLine {
  readonly company: string;
  readonly meter: string;
  readonly events: number;
  readonly counted: string;
  readonly stripe: string;
  readonly held: string;
  readonly reason: string;
  /** Counted = at Stripe + held reports, to the digit. */
  readonly equal: boolean;
}

const ROWS = 10_000;

/** Compares our usage with the local Stripe's own ledger, line by line; then what is held for want of a company or a value. */
export async function compare(node: MeterNode, stripe: LocalStripe): Promise<readonly BookLine[]> {
  const usage = await queryUsage(node.store, node.catalog, { window: null, groupBy: [] });
  const heldReports = await node.store.outbox({ state: "held", limit: ROWS });
  const lines = usage.map((row): BookLine => {
    const customer = Object.entries(DEMO_COMPANIES).find(([company]) => company === row.customer)?.[1].customer ?? null;
    const held = heldReports.filter((each) => each.company === row.customer && each.meter === row.meter);
    const heldValue = formatDecimal(held.reduce((sum, each) => sum + each.raw, 0n));
    const counted = row.value ?? "0";
    const atStripe = customer === null ? "0" : stripe.total(row.meter, customer);
    return {
      company: row.customer,
      meter: row.meter,
      events: row.events,
      counted,
      stripe: atStripe,
      held: heldValue,
      reason: held[0]?.reason ?? "",
      equal: counted === (held.length > 0 ? heldValue : atStripe),
    };
  });
  return [...lines, ...(await heldEvents(node))];
}

/** Events that no bill can hold yet: by meter and reason. They are in no ledger, and in no count. */
async function heldEvents(node: MeterNode): Promise<readonly BookLine[]> {
  const byReason = new Map<string, { line: BookLine; value: bigint }>();
  for (const row of await node.store.held({ order: "newest", limit: ROWS })) {
    const name = `${row.meter} ${row.reason}`;
    const known = byReason.get(name)?.value ?? 0n;
    const value = known + (typeof row.value === "bigint" ? row.value : 0n);
    const line = {
      company: row.reason === "no_company" ? "(nobody)" : "",
      meter: row.meter,
      events: (byReason.get(name)?.line.events ?? 0) + 1,
      counted: "0",
      stripe: "0",
      held: formatDecimal(value),
      reason: row.reason,
      equal: true,
    };
    byReason.set(name, { line, value });
  }
  return [...byReason.values()].map(({ line }) => line);
}
