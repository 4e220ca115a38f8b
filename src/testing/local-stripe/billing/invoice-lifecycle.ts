import { recordAccountEvent } from "../account-events.ts";
import { schedule } from "../agenda.ts";
import { nextId, nowSeconds, type LocalState } from "../state.ts";
import { invoiceObject } from "./invoice-object.ts";
import type { InvoiceRecord, SubscriptionRecord } from "./records.ts";
import { invoiceLines } from "./usage.ts";

/** Makes the draft for a period that ended; it is finalised after the grace. */
export function draftInvoice(
  state: LocalState,
  subscription: SubscriptionRecord,
  facts: Pick<InvoiceRecord, "periodStart" | "periodEnd" | "isTrial" | "reason">,
): InvoiceRecord {
  const created = nowSeconds(state);
  const invoice: InvoiceRecord = {
    id: nextId(state, "in"),
    created,
    subscription,
    ...facts,
    finalizedAt: null,
    finalizesAt: created + Math.ceil(state.settings.graceMs / 1000),
    lines: null,
  };
  state.invoices.set(invoice.id, invoice);
  subscription.latestInvoice = invoice.id;
  recordAccountEvent(state, "invoice.created", invoiceObject(state, invoice));
  schedule(state, invoice.finalizesAt * 1000, () => finalizeInvoice(state, invoice));
  return invoice;
}

/** Fixes an invoice by the usage that is known now. A finalised one stays as it is. */
export function finalizeInvoice(state: LocalState, invoice: InvoiceRecord): void {
  if (invoice.finalizedAt !== null) {
    return;
  }
  invoice.lines = invoiceLines(state, invoice);
  invoice.finalizedAt = nowSeconds(state);
  recordAccountEvent(state, "invoice.finalized", invoiceObject(state, invoice));
}
