import { formatDecimal } from "../../../core/decimal.ts";
import { isLive, type LocalState } from "../state.ts";
import type { InvoiceLine, InvoiceRecord } from "./records.ts";
import { invoiceLines } from "./usage.ts";

/** draft until it is finalised; then open, or paid when there is nothing to pay. */
export function invoiceStatus({ lines }: InvoiceRecord): "draft" | "open" | "paid" {
  return lines === null ? "draft" : totalOf(lines) > 0n ? "open" : "paid";
}

/** The JSON of an invoice with all its lines. */
export function invoiceObject(state: LocalState, invoice: InvoiceRecord): object {
  const lines = invoiceLines(state, invoice);
  const { id, subscription, finalizedAt } = invoice;
  const customer = state.customers.get(subscription.customer)?.fields;
  return {
    ...UNUSED,
    ...amounts(totalOf(lines), invoiceStatus(invoice)),
    id,
    object: "invoice",
    automatically_finalizes_at: finalizedAt === null ? invoice.finalizesAt : null,
    billing_reason: invoice.reason,
    created: invoice.created,
    currency: subscription.items[0]?.price.currency ?? "usd",
    customer: subscription.customer,
    customer_email: customer?.email ?? null,
    customer_name: customer?.name ?? null,
    customer_phone: customer?.phone ?? null,
    effective_at: finalizedAt,
    lines: {
      object: "list",
      data: lines.map((line) => lineObject(state, invoice, line)),
      has_more: false,
      url: `/v1/invoices/${id}/lines`,
    },
    livemode: isLive(state),
    number: finalizedAt === null ? null : `L-${id.slice(-6)}`,
    parent: {
      quote_details: null,
      subscription_details: { metadata: subscription.metadata, subscription: subscription.id },
      type: "subscription_details",
    },
    period_end: invoice.periodEnd,
    period_start: invoice.periodStart,
    status: invoiceStatus(invoice),
    status_transitions: {
      finalized_at: finalizedAt,
      marked_uncollectible_at: null,
      paid_at: invoiceStatus(invoice) === "paid" ? finalizedAt : null,
      voided_at: null,
    },
  };
}

/** The JSON of a line: `quantity` cuts off the fraction, `quantity_decimal` has it. */
export function lineObject(state: LocalState, invoice: InvoiceRecord, line: InvoiceLine): object {
  const { item, quantity, unit, amount } = line;
  const exact = formatDecimal(quantity);
  return {
    id: line.id,
    object: "line_item",
    amount: Number(amount),
    currency: item.price.currency,
    description: line.description,
    discount_amounts: [],
    discountable: true,
    discounts: [],
    invoice: invoice.id,
    livemode: isLive(state),
    metadata: {},
    parent: {
      invoice_item_details: null,
      subscription_item_details: {
        invoice_item: null,
        proration: false,
        proration_details: null,
        subscription: invoice.subscription.id,
        subscription_item: item.id,
      },
      type: "subscription_item_details",
    },
    period: { end: invoice.periodEnd, start: invoice.periodStart },
    pretax_credit_amounts: [],
    pricing: {
      price_details: { price: item.price.id, product: item.price.product },
      type: "price_details",
      unit_amount_decimal: unit === null ? null : formatDecimal(unit),
    },
    quantity: Number(exact.split(".")[0]),
    quantity_decimal: exact,
    subscription: invoice.subscription.id,
    subtotal: Number(amount),
    taxes: [],
  };
}

function totalOf(lines: readonly InvoiceLine[]): bigint {
  return lines.reduce((sum, { amount }) => sum + amount, 0n);
}

function amounts(total: bigint, status: "draft" | "open" | "paid"): object {
  const value = Number(total);
  return {
    amount_due: value,
    amount_overpaid: 0,
    amount_paid: 0,
    amount_remaining: value,
    amount_shipping: 0,
    attempted: status === "paid",
    auto_advance: status === "draft",
    subtotal: value,
    subtotal_excluding_tax: value,
    total: value,
    total_excluding_tax: value,
  };
}

/** What every invoice has and this server gives no meaning. */
const UNUSED = {
  account_country: "US",
  account_name: null,
  account_tax_ids: null,
  application: null,
  attempt_count: 0,
  automatic_tax: { disabled_reason: null, enabled: false, liability: null, provider: null, status: null },
  collection_method: "charge_automatically",
  custom_fields: null,
  customer_account: null,
  customer_address: null,
  customer_shipping: null,
  customer_tax_exempt: "none",
  customer_tax_ids: [],
  default_payment_method: null,
  default_source: null,
  default_tax_rates: [],
  description: null,
  discounts: [],
  due_date: null,
  ending_balance: null,
  footer: null,
  from_invoice: null,
  issuer: { type: "self" },
  last_finalization_error: null,
  latest_revision: null,
  metadata: {},
  next_payment_attempt: null,
  on_behalf_of: null,
  payment_settings: { default_mandate: null, payment_method_options: null, payment_method_types: null },
  post_payment_credit_notes_amount: 0,
  pre_payment_credit_notes_amount: 0,
  receipt_number: null,
  rendering: null,
  shipping_cost: null,
  shipping_details: null,
  starting_balance: 0,
  statement_descriptor: null,
  test_clock: null,
  total_discount_amounts: [],
  total_pretax_credit_amounts: [],
  total_taxes: [],
  webhooks_delivered_at: null,
} as const;
