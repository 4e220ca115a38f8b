import type { Stripe } from "stripe";

import { limits } from "../engine/limits.ts";
import type { Clock, MeterAnswer } from "../engine/ports.ts";
import type { StripeConnection } from "./stripe-connection.ts";

/** A Stripe meter that takes our reports, with the names of its two payload fields. */
export interface FitMeter {
  readonly customerKey: string;
  readonly valueKey: string;
}

type Known = { readonly kind: "fit"; readonly meter: FitMeter } | { readonly kind: "unfit"; readonly reason: string };

export interface StripeMeters {
  answer(reportAs: string): Promise<MeterAnswer>;
  /** How to address a meter; null when there is no such active meter, a text when it would count us wrongly. */
  fit(reportAs: string): Promise<FitMeter | string | null>;
  /** Reads them again when they are next asked for. */
  forget(): void;
}

/** Active meters by event name, read once an hour; at most once a minute while the one that is asked for is not fit. */
export function stripeMeters({ stripe, read }: StripeConnection, clock: Clock): StripeMeters {
  let known: { readonly at: number; readonly meters: ReadonlyMap<string, Known> } | null = null;

  async function find(reportAs: string): Promise<Known | undefined> {
    const at = clock.now();
    if (known !== null) {
      const meter = known.meters.get(reportAs);
      const believedMs = meter?.kind === "fit" ? limits.reporterMetersMs : limits.missingMeterMs;
      if (Math.abs(at - known.at) < believedMs) return meter;
    }
    const found = new Map<string, Known>();
    await read(async () => {
      for await (const meter of stripe.billing.meters.list({ status: "active", limit: 100 }))
        found.set(meter.event_name, judged(meter));
    });
    known = { at, meters: found };
    return found.get(reportAs);
  }

  return {
    answer: async (reportAs) => {
      const meter = await find(reportAs);
      if (meter === undefined)
        return { kind: "missing", reason: `Stripe has no active meter with event name ${reportAs}.` };
      return meter.kind === "fit" ? { kind: "ready" } : meter;
    },
    fit: async (reportAs) => {
      const meter = await find(reportAs);
      if (meter === undefined) return null;
      return meter.kind === "fit" ? meter.meter : meter.reason;
    },
    forget: () => {
      known = null;
    },
  };
}

/** Only a raw sum adds up our differences: count would count reports, last and windows keep the latest alone. */
function judged({
  event_name: name,
  default_aggregation,
  event_time_window,
  customer_mapping,
  value_settings,
}: Stripe.Billing.Meter): Known {
  const { formula } = default_aggregation;
  if (formula !== "sum")
    return { kind: "unfit", reason: `Stripe's meter ${name} has the formula ${formula}; reports need sum.` };
  if (event_time_window !== null && event_time_window !== undefined) {
    return {
      kind: "unfit",
      reason: `Stripe's meter ${name} keeps only the last event of each ${event_time_window}; reports need a meter without event_time_window.`,
    };
  }
  return {
    kind: "fit",
    meter: { customerKey: customer_mapping.event_payload_key, valueKey: value_settings.event_payload_key },
  };
}
