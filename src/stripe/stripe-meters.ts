import type { Stripe } from "stripe";

import { limits } from "../engine/limits.ts";
import type { Clock, MeterAnswer } from "../engine/ports.ts";
import type { StripeConnection } from "./stripe-connection.ts";

/** A Stripe meter that takes our reports, with the names of its two payload fields. */
export interface FitMeter {
  /** `mtr_…` */
  readonly id: string;
  readonly customerKey: string;
  readonly valueKey: string;
  /** Stripe keeps only the last event that it received for each of these (UTC); null = it adds all up. */
  readonly keepsLast: "hour" | "day" | null;
}

type Known =
  | { readonly kind: "fit"; readonly meter: FitMeter }
  | { readonly kind: "unfit"; readonly id: string; readonly reason: string };

export interface StripeMeters {
  answer(reportAs: string): Promise<MeterAnswer>;
  /** How to address a meter; null when there is no such active meter, a text when it would count us wrongly. */
  fit(reportAs: string): Promise<FitMeter | string | null>;
  /** The id of a meter, an archived one's too, since its books stay; null when there never was one of this name. */
  idOf(reportAs: string): Promise<string | null>;
  /** Event names of the active meters by id. */
  namesById(): Promise<ReadonlyMap<string, string>>;
  /** Reads them again when they are next asked for. */
  forget(): void;
}

interface MeterList {
  readonly at: number;
  readonly meters: ReadonlyMap<string, Known>;
}

/** Active meters by event name, read once an hour; at most once a minute while the one that is asked for is not fit. */
export function stripeMeters({ stripe, read }: StripeConnection, clock: Clock): StripeMeters {
  let known: MeterList | null = null;
  const archived = new Map<string, { readonly at: number; readonly id: string | null }>();

  async function list(believedMs: (meters: MeterList["meters"]) => number): Promise<MeterList["meters"]> {
    const at = clock.now();
    if (known !== null && Math.abs(at - known.at) < believedMs(known.meters)) return known.meters;
    const found = new Map<string, Known>();
    await read(async () => {
      for await (const meter of stripe.billing.meters.list({ status: "active", limit: 100 }))
        found.set(meter.event_name, judged(meter));
    });
    known = { at, meters: found };
    return found;
  }

  const find = async (reportAs: string): Promise<Known | undefined> =>
    (
      await list((meters) => (meters.get(reportAs)?.kind === "fit" ? limits.reporterMetersMs : limits.missingMeterMs))
    ).get(reportAs);

  async function archivedId(reportAs: string): Promise<string | null> {
    const at = clock.now();
    const before = archived.get(reportAs);
    if (before !== undefined && Math.abs(at - before.at) < limits.reporterMetersMs) return before.id;
    const id = await read(async () => {
      for await (const meter of stripe.billing.meters.list({ status: "inactive", limit: 100 }))
        if (meter.event_name === reportAs) return meter.id;
      return null;
    });
    archived.set(reportAs, { at, id });
    return id;
  }

  return {
    answer: async (reportAs) => {
      const meter = await find(reportAs);
      if (meter === undefined)
        return { kind: "missing", reason: `Stripe has no active meter with event name ${reportAs}.` };
      return meter.kind === "fit"
        ? { kind: "ready", keepsLast: meter.meter.keepsLast }
        : { kind: "unfit", reason: meter.reason };
    },
    fit: async (reportAs) => {
      const meter = await find(reportAs);
      if (meter === undefined) return null;
      return meter.kind === "fit" ? meter.meter : meter.reason;
    },
    idOf: async (reportAs) => {
      const meter = await find(reportAs);
      return meter === undefined ? archivedId(reportAs) : idOf(meter);
    },
    namesById: async () => {
      const meters = await list(() => limits.reporterMetersMs);
      return new Map([...meters].map(([name, meter]) => [idOf(meter), name]));
    },
    forget: () => {
      known = null;
    },
  };
}

const WINDOWS = ["hour", "day"] as const;

function idOf(meter: Known): string {
  return meter.kind === "fit" ? meter.meter.id : meter.id;
}

/** Only a sum adds up our differences, or keeps our newest total of a window: count would count reports, last knows no windows. */
function judged(meter: Stripe.Billing.Meter): Known {
  const {
    id,
    event_name: name,
    default_aggregation,
    event_time_window: keeps,
    customer_mapping,
    value_settings,
  } = meter;
  const { formula } = default_aggregation;
  const unfit = (reason: string): Known => ({ kind: "unfit", id, reason: `Stripe's meter ${name} ${reason}` });
  if (formula !== "sum") return unfit(`has the formula ${formula}; reports need sum.`);
  const keepsLast = WINDOWS.find((window) => window === keeps) ?? null;
  // Windows of a kind that Stripe adds later would keep nobody knows what.
  if (keepsLast === null && keeps !== null && keeps !== undefined)
    return unfit(`has the event_time_window ${keeps}; reports need hour, day or none.`);
  return {
    kind: "fit",
    meter: {
      id,
      customerKey: customer_mapping.event_payload_key,
      valueKey: value_settings.event_payload_key,
      keepsLast,
    },
  };
}
