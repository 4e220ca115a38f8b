import { isFault, parseDecimal, type Decimal } from "../../../core/decimal.ts";
import { listMembers, type FormTree } from "../form-body.ts";
import {
  missing,
  onlyParameters,
  optionalChoice,
  optionalInteger,
  optionalMap,
  optionalText,
  requiredInteger,
  requiredMap,
  requiredText,
} from "../parameters.ts";
import type { LocalState } from "../state.ts";
import { refuse, refuseMissing } from "../stripe-refusal.ts";
import { INTERVALS, type Interval, type PriceRecord, type PriceScheme, type Tier } from "./records.ts";

/** What a price form says of its recurring part: metered on a meter that exists. */
export function readRecurring(
  state: LocalState,
  form: FormTree,
): { readonly interval: Interval; readonly intervalCount: number; readonly meter: string } {
  const recurring = requiredMap(form, "recurring");
  onlyParameters(recurring, ["interval", "interval_count", "usage_type", "meter"], ["trial_period_days"]);
  const usage = optionalChoice(recurring, "usage_type", ["licensed", "metered"], "recurring[usage_type]");
  if (usage !== "metered") {
    refuse("price.licensed_not_kept", {
      message: "The local Stripe keeps prices with recurring[usage_type] metered only.",
      param: "recurring[usage_type]",
    });
  }
  const meter =
    optionalText(recurring, "meter", { label: "recurring[meter]" }) ??
    refuse("price.needs_meter", {
      message: "Starting with Stripe version 2025-03-31.basil, metered prices must be backed by meters.",
      param: "recurring[meter]",
    });
  if (!state.meters.has(meter)) refuseMissing("meter.not_found", "meter", meter, "recurring[meter]");
  return {
    interval: optionalChoice(recurring, "interval", INTERVALS, "recurring[interval]") ?? missing("recurring[interval]"),
    intervalCount: optionalInteger(recurring, "interval_count", "recurring[interval_count]") ?? 1,
    meter,
  };
}

/** How a price form turns quantities into amounts. */
export function readScheme(form: FormTree): PriceScheme {
  const kind = optionalChoice(form, "billing_scheme", ["per_unit", "tiered"]) ?? "per_unit";
  if (kind === "per_unit") {
    return { kind, unit: readAmount(form, "unit_amount", "") ?? missing("unit_amount") };
  }
  const mode = optionalChoice(form, "tiers_mode", ["graduated", "volume"]) ?? missing("tiers_mode");
  const tiers = listMembers(requiredMap(form, "tiers")).map((member, index) => readTier(member, index));
  const ends = tiers.map(({ upTo }) => upTo);
  const inOrder = ends.every((end, index) => {
    const before = ends[index - 1];
    return end === null ? index === ends.length - 1 : index === 0 || (before ?? end) < end;
  });
  if (!inOrder || ends.at(-1) !== null) {
    refuse("price.tiers_order", { message: "The tiers must rise, and the last must be up to inf.", param: "tiers" });
  }
  return { kind, mode, tiers };
}

/** A division of the quantity before it is priced; not together with tiers. */
export function readTransform(form: FormTree, scheme: PriceScheme): PriceRecord["transform"] {
  const transform = optionalMap(form, "transform_quantity");
  if (transform === null) {
    return null;
  }
  if (scheme.kind === "tiered") {
    refuse("price.transform_with_tiers", {
      message: "You cannot use transform_quantity with a tiered price.",
      param: "transform_quantity",
    });
  }
  return {
    divideBy: BigInt(Math.max(1, requiredInteger(transform, "divide_by"))),
    round:
      optionalChoice(transform, "round", ["up", "down"], "transform_quantity[round]") ??
      missing("transform_quantity[round]"),
  };
}

function readTier(member: string | FormTree, index: number): Tier {
  const label = `tiers[${String(index)}]`;
  if (typeof member === "string") {
    return refuse("http.parameter_not_map", { message: "Invalid object", param: label });
  }
  onlyParameters(member, ["up_to", "unit_amount", "unit_amount_decimal", "flat_amount", "flat_amount_decimal"]);
  const upTo = requiredText(member, "up_to", { label: `${label}[up_to]` });
  return {
    upTo: upTo === "inf" ? null : BigInt(requiredInteger(member, "up_to")),
    unit: readAmount(member, "unit_amount", label),
    flat: readAmount(member, "flat_amount", label),
  };
}

/** `x` as a whole number of the smallest unit, or `x_decimal` with at most 12 places; null when neither is sent. */
function readAmount(form: FormTree, name: string, outer: string): Decimal | null {
  const label = (part: string): string => (outer === "" ? part : `${outer}[${part}]`);
  const whole = optionalText(form, name, { label: label(name) });
  const decimal = optionalText(form, `${name}_decimal`, { label: label(`${name}_decimal`) });
  if (whole !== null && decimal !== null) {
    refuse("price.one_amount", {
      message: `You may only specify one of these parameters: ${name}, ${name}_decimal.`,
      param: label(name),
    });
  }
  const text = whole ?? decimal;
  if (text === null) {
    return null;
  }
  const amount = parseDecimal(text);
  return isFault(amount) || amount < 0n || (whole !== null && !/^\d+$/.test(text))
    ? refuse("price.bad_amount", {
        message: `Invalid decimal: ${text}; must contain at maximum 12 decimal places.`,
        param: label(whole === null ? `${name}_decimal` : name),
      })
    : amount;
}
