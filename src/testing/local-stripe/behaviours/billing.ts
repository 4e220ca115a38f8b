import { documented, guessed, seenLive, type Behaviour } from "./mark.ts";

/** Products, prices, subscriptions, invoices. */
export const BILLING_BEHAVIOURS = {
  "product.create": documented("Creates a product; the id can be chosen."),
  "product.id_taken": documented("A product id is taken once; the words are guessed."),
  "product.list": documented("Newest first, filtered by active and created."),
  "product.retrieve": documented("A product by id."),
  "product.update": documented("Only what is sent changes."),
  "product.not_found": seenLive("'No such product: 'x'' with code resource_missing: 404 by path, 400 by parameter."),
  "price.create": documented(
    "A recurring metered price on a meter: per unit or tiered (graduated, volume), with transform_quantity.",
  ),
  "price.needs_meter": seenLive(
    "'Starting with Stripe version 2025-03-31.basil, metered prices must be backed by meters'.",
  ),
  "price.licensed_not_kept": guessed(
    "This local Stripe refuses licensed and one-time prices. The real one takes them.",
  ),
  "price.one_amount": documented("unit_amount and unit_amount_decimal exclude each other; the words are guessed."),
  "price.bad_amount": documented("An amount has at most 12 decimals and is not negative; the words are guessed."),
  "price.tiers_order": documented("Tiers rise, the last is up to inf; the words are guessed."),
  "price.transform_with_tiers": documented("transform_quantity excludes tiers; the words are guessed."),
  "price.tiers_expanded": documented("tiers are answered only when expand names them."),
  "price.list": documented("Newest first; active, created, currency, product, recurring, type filters."),
  "price.retrieve": documented("A price by id."),
  "price.update": documented("Only active, metadata and nickname change."),
  "price.not_found": seenLive("'No such price: 'x'' with code resource_missing: 404 by path, 400 by parameter."),
  "subscription.create": documented("Items of metered prices without quantity; active at once, or trialing."),
  "subscription.metered_quantity": seenLive("A quantity on a metered item is a 400."),
  "subscription.mixed_intervals": guessed(
    "This local Stripe refuses prices of different intervals in one subscription.",
  ),
  "subscription.too_many_items": documented("At most 20 items; the words are guessed."),
  "subscription.start_in_past": documented("billing_cycle_anchor and trial_end lie ahead; the words are guessed."),
  "subscription.backdated": documented(
    "backdate_start_date starts it in the past; that the periods closed since then get no invoice here is guessed.",
  ),
  "subscription.periods": documented(
    "current_period_start and _end stand on the items; periods count from the anchor, months keep its day or their last.",
  ),
  "subscription.trial": documented("trialing until trial_end, which is the anchor; usage before it is free."),
  "subscription.list": documented(
    "Newest first; without status all but canceled; all, ended, customer, price filters.",
  ),
  "subscription.retrieve": documented("A subscription by id, canceled ones too."),
  "subscription.update": documented("metadata, cancel_at, cancel_at_period_end; the rest is refused here."),
  "subscription.cancel": documented("Ends at once; the usage of the running period is invoiced only with invoice_now."),
  "subscription.cancel_at": guessed(
    "A planned end cuts the running period: its items show it as current_period_end, and a last invoice follows.",
  ),
  "subscription.canceled_fixed": documented(
    "A canceled subscription changes no more, but for metadata; the words are guessed.",
  ),
  "subscription.customer_deleted": documented("Deleting a customer ends its subscriptions at once."),
  "subscription.not_found": seenLive("'No such subscription: 'x'' with code resource_missing."),
  "invoice.period_end": documented("At a period's end a draft is made, with invoice.created."),
  "invoice.grace": documented(
    "The draft is finalised after the grace (1 h) by the usage known then: late usage of its period lands on it.",
  ),
  "invoice.half_open": documented(
    "The timestamp decides the period; seen live: an event stamped exactly at its end belongs to the next.",
  ),
  "invoice.negative": documented("A negative total is billed as 0."),
  "invoice.visible_usage": guessed("What summaries do not show yet is on no invoice either."),
  "invoice.tiers": guessed("A graduated price makes a line for each tier reached, its flat amount inside."),
  "invoice.rounding": guessed("Each line is rounded once to the currency's smallest unit, halves up."),
  "invoice.first": guessed("Here no invoice of 0 is made when a subscription starts; the real one makes one."),
  "invoice.line_quantity": documented("quantity cuts off the fraction, quantity_decimal has it."),
  "invoice.list": documented("Newest first; customer, subscription, status, created filters."),
  "invoice.retrieve": documented("An invoice with its lines; a draft's follow the usage."),
  "invoice.lines": documented("The lines of an invoice, by pages."),
  "invoice.finalize": documented("Finalises a draft before its time."),
  "invoice.already_finalized": seenLive("A finalised invoice cannot be finalised again: 400."),
  "invoice.not_found": seenLive("'No such invoice: 'x'' with code resource_missing."),
  "invoice.preview": documented(
    "The running period as an invoice whose id begins with upcoming_in; it lags as summaries do.",
  ),
  "invoice.no_upcoming": seenLive("A 404 with code invoice_upcoming_none when nothing runs."),
} as const satisfies Readonly<Record<string, Behaviour>>;
