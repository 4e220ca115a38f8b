import { formatDecimal } from "../../core/decimal.ts";
import { invoiceLines } from "./billing/usage.ts";
import type { LocalState } from "./state.ts";

/** What an invoice bills of one meter: the end of every usage record's way. */
export interface InvoicedUsage {
  readonly invoice: string;
  readonly subscription: string;
  readonly customer: string;
  readonly eventName: string;
  /** Seconds, half-open. */
  readonly periodStart: number;
  readonly periodEnd: number;
  /** Exact sum of the lines, as a decimal string; a draft's follows the usage. */
  readonly quantity: string;
  readonly isFinal: boolean;
}

/** Every invoice's usage by meter, oldest invoice first. */
export function invoicedUsage(state: LocalState): readonly InvoicedUsage[] {
  return [...state.invoices.values()].flatMap((invoice) => {
    const lines = invoiceLines(state, invoice);
    return invoice.subscription.items.map((item) => ({
      invoice: invoice.id,
      subscription: invoice.subscription.id,
      customer: invoice.subscription.customer,
      eventName: state.meters.get(item.price.meter)?.eventName ?? "",
      periodStart: invoice.periodStart,
      periodEnd: invoice.periodEnd,
      quantity: formatDecimal(
        lines.filter((line) => line.item.id === item.id).reduce((sum, line) => sum + line.quantity, 0n),
      ),
      isFinal: invoice.finalizedAt !== null,
    }));
  });
}
