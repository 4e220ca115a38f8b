import { waitsForSubscription } from "./coverage.ts";
import { limits } from "../limits.ts";
import type { HeldLane, Store } from "../ports.ts";

/** Held rows of a company on one of the biller's meters that wait for a subscription. */
export interface UnsubscribedLane extends Pick<HeldLane, "company" | "reportAs" | "rows"> {
  /** Null while it is not known who pays for the company. */
  readonly customer: string | null;
}

/** Whose usage is held because no subscription bills it, as the last round of reporting found it. */
export async function unsubscribedLanes(
  store: Pick<Store, "heldLanes" | "outbox" | "customerMappings">,
): Promise<readonly UnsubscribedLane[]> {
  const found: Pick<HeldLane, "company" | "reportAs" | "rows">[] = [];
  for (const lane of await store.heldLanes()) {
    const { company, reportAs } = lane;
    const rows = waitsForSubscription(lane) ? lane.rows : lane.reason === null ? await rowsAmong(store, lane) : 0;
    if (rows > 0) found.push({ company, reportAs, rows });
  }
  const mappings = found.length === 0 ? [] : await store.customerMappings(found.map(({ company }) => company));
  const customers = new Map(
    mappings.flatMap(({ company, state, customers: [only] }) =>
      state === "mapped" && only !== undefined ? [[company, only]] : [],
    ),
  );
  return found.map((lane) => ({ ...lane, customer: customers.get(lane.company) ?? null }));
}

/** Of a lane whose rows are held for different reasons. */
async function rowsAmong(store: Pick<Store, "outbox">, { company, reportAs }: HeldLane): Promise<number> {
  const rows = await store.outbox({ state: "held", final: false, company, reportAs, limit: limits.heldRowsMax });
  return rows.filter(waitsForSubscription).length;
}

/** What an operator can do about usage that is held already, as a clause; a subscription that begins now would not bill it. */
export function subscriptionRemedy({ customer, reportAs }: Pick<UnsubscribedLane, "customer" | "reportAs">): string {
  return `create a subscription with a price of meter ${reportAs} for ${customer ?? "its customer"} that covers that time (backdated), or put it on the present invoice: meterbook outbox resolve ROW --as carry`;
}
