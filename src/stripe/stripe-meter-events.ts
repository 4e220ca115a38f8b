import { isMeterbookError } from "../core/errors.ts";
import { owns } from "../core/own-member.ts";
import { wireValue, type UsageRecord } from "../core/usage-record.ts";
import type { ReportAnswer } from "../engine/ports.ts";
import { answerOfCancel, answerOfFailure, failureOf } from "./report-answer.ts";
import type { StripeConnection } from "./stripe-connection.ts";
import type { FitMeter, StripeMeters } from "./stripe-meters.ts";

/** Sends one meter event. A total for a meter that keeps the last of its windows is sent just as a difference is. */
export async function sendMeterEvent(
  connection: StripeConnection,
  meters: StripeMeters,
  record: UsageRecord,
  idempotencyKey: string,
): Promise<ReportAnswer> {
  const obstacle = await obstacleTo(connection);
  if (obstacle !== null) return obstacle;
  const meter = await meterFor(meters, record);
  if (owns(meter, "kind")) return meter;
  try {
    const answer = await connection.stripe.billing.meterEvents.create(
      {
        event_name: record.reportAs,
        identifier: record.identifier,
        payload: {
          meterbook_company: record.company,
          [meter.customerKey]: record.customer,
          [meter.valueKey]: wireValue(record.value),
        },
        timestamp: Math.floor(record.timestamp / 1_000),
      },
      { idempotencyKey },
    );
    const { requestId, statusCode } = answer.lastResponse;
    if (statusCode < 300 && answer.identifier === record.identifier)
      return { kind: "accepted", requestId: requestId ?? null };
    return unknown(`Stripe's answer (${statusCode}) is not about this event`, requestId ?? null);
  } catch (error) {
    const answer = answerOfFailure(failureOf(error), record.identifier);
    // A meter was taken away at Stripe: what waits for it is then held instead of refused as well.
    if (answer.kind === "dead" && answer.reason.startsWith("no_meter")) meters.forget();
    return answer;
  }
}

/** Takes a meter event back by its identifier (docs.stripe.com/api/billing/meter-event-adjustment): within 24 h of its receipt only. */
export async function cancelMeterEvent(
  connection: StripeConnection,
  { reportAs, identifier }: UsageRecord,
  idempotencyKey: string,
): Promise<ReportAnswer> {
  const obstacle = await obstacleTo(connection);
  if (obstacle !== null) return obstacle;
  try {
    const answer = await connection.stripe.billing.meterEventAdjustments.create(
      { event_name: reportAs, type: "cancel", cancel: { identifier } },
      { idempotencyKey },
    );
    const { requestId, statusCode } = answer.lastResponse;
    // `pending` is received as a meter event is: the books show later what became of it.
    if (statusCode < 300 && answer.cancel?.identifier === identifier)
      return { kind: "accepted", requestId: requestId ?? null };
    return unknown(`Stripe's answer (${statusCode}) is not about this event`, requestId ?? null);
  } catch (error) {
    return answerOfCancel(failureOf(error), identifier);
  }
}

/** Clocks that differ stop everything; each try asks for Stripe's time again, so that a clock set right is noticed. */
async function obstacleTo(connection: StripeConnection): Promise<ReportAnswer | null> {
  if (connection.skew.complaint() === null) return null;
  try {
    const complaint = await measuredClockFault(connection);
    return complaint === null ? null : { kind: "stop", reason: complaint };
  } catch (error) {
    return answerOfReading(error);
  }
}

/** How the clocks are right now: any answer carries Stripe's time, and this call asks for the least. */
export async function measuredClockFault({ stripe, skew, read }: StripeConnection): Promise<string | null> {
  await read(() => stripe.billing.meters.list({ limit: 1 }));
  return skew.complaint();
}

async function meterFor(meters: StripeMeters, record: UsageRecord): Promise<FitMeter | ReportAnswer> {
  try {
    const meter = await meters.fit(record.reportAs);
    // What such a meter makes of our reports is lost for ever behind a 200.
    if (typeof meter === "string") return { kind: "dead", reason: `meter_unfit: ${meter}`, requestId: null };
    return meter ?? DEFAULT_KEYS;
  } catch (error) {
    return answerOfReading(error);
  }
}

/** For a meter that is gone: Stripe itself shall say so. */
const DEFAULT_KEYS: FitMeter = { id: "", customerKey: "stripe_customer_id", valueKey: "value", keepsLast: null };

function answerOfReading(error: unknown): ReportAnswer {
  if (isMeterbookError(error) && error.code === "METER_STRIPE_REFUSED") return { kind: "stop", reason: error.message };
  return unknown(error instanceof Error ? error.message : String(error), null);
}

function unknown(reason: string, requestId: string | null): ReportAnswer {
  return { kind: "unknown", reason, requestId, freshKey: false, retryAfterMs: null, rateLimited: false };
}
