import { formatDecimal, type Decimal } from "../../../core/decimal.ts";
import { aggregate, countedEvents } from "../ledger.ts";
import { nowMs, type LocalState } from "../state.ts";
import { pricedParts } from "./amounts.ts";
import type { InvoiceLine, InvoiceRecord, PriceRecord, SubscriptionRecord } from "./records.ts";

/** The lines of an invoice by the usage that is visible now; those of a finalised one as they were then. */
export function invoiceLines(state: LocalState, invoice: InvoiceRecord): readonly InvoiceLine[] {
  return (
    invoice.lines ??
    invoice.subscription.items.flatMap((item) => {
      const quantity = invoice.isTrial ? 0n : periodQuantity(state, invoice.subscription, item.price, invoice);
      return pricedParts(item.price, quantity).map((part, index) => ({
        id: `il_${invoice.id.replace(/^.*_/, "")}${item.id.slice(3)}${String(index)}`,
        item,
        ...part,
        description: `${formatDecimal(part.quantity)} × ${state.products.get(item.price.product)?.name ?? ""}`,
      }));
    })
  );
}

/** The aggregate of a customer's events whose timestamp lies in the half-open period, as far as it is visible. */
function periodQuantity(
  state: LocalState,
  { customer }: SubscriptionRecord,
  price: PriceRecord,
  period: { readonly periodStart: number; readonly periodEnd: number },
): Decimal {
  const meter = state.meters.get(price.meter);
  if (meter === undefined) {
    return 0n;
  }
  const events = countedEvents(state, meter, customer, nowMs(state) - state.lags.summaryMs).filter(
    ({ timestamp }) => timestamp >= period.periodStart && timestamp < period.periodEnd,
  );
  return aggregate(meter, events);
}
