import type { CountedQuery, CountedSpan } from "../engine/ports.ts";
import { MeterbookError } from "../core/errors.ts";
import type { StripeConnection } from "./stripe-connection.ts";
import type { StripeMeters } from "./stripe-meters.ts";
import { summaryValue } from "./summary-value.ts";

const SECOND_MS = 1_000;

/**
 * What Stripe has counted of a customer on a meter, oldest first, by its event summaries
 * (docs.stripe.com/api/billing/meter-event-summary). They are behind what Stripe was sent, by an unknown time.
 */
export async function countedByStripe(
  { stripe, read }: StripeConnection,
  meters: StripeMeters,
  { customer, reportAs, from, to, per }: CountedQuery,
): Promise<readonly CountedSpan[]> {
  const id = await meters.idOf(reportAs);
  if (id === null) {
    throw new MeterbookError(
      "METER_STRIPE_UNREACHABLE",
      `Stripe has no meter with event name ${reportAs}, so there are no books to compare with.`,
    );
  }
  const spans: CountedSpan[] = [];
  await read(async () => {
    const pages = stripe.billing.meters.listEventSummaries(id, {
      customer,
      start_time: from / SECOND_MS,
      end_time: to / SECOND_MS,
      limit: 100,
      ...(per === null ? {} : { value_grouping_window: per }),
    });
    for await (const { start_time, end_time, aggregated_value } of pages) {
      if (![start_time, end_time].every(Number.isSafeInteger) || typeof aggregated_value !== "number")
        throw new TypeError("a summary without times and a figure");
      spans.push({ from: start_time * SECOND_MS, to: end_time * SECOND_MS, ...summaryValue(aggregated_value) });
    }
  });
  return spans.toSorted((a, b) => a.from - b.from);
}
