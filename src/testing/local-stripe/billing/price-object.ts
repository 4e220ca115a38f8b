import { formatDecimal, type Decimal } from "../../../core/decimal.ts";
import { isLive, type LocalState } from "../state.ts";
import type { PriceRecord, Tier } from "./records.ts";

/** The JSON of a price; its tiers only when they are asked for. */
export function priceObject(state: LocalState, price: PriceRecord, withTiers: boolean): object {
  const { scheme, transform } = price;
  return {
    id: price.id,
    object: "price",
    active: price.isActive,
    billing_scheme: scheme.kind,
    created: price.created,
    currency: price.currency,
    custom_unit_amount: null,
    livemode: isLive(state),
    lookup_key: null,
    metadata: price.metadata,
    nickname: price.nickname,
    product: price.product,
    recurring: {
      interval: price.interval,
      interval_count: price.intervalCount,
      meter: price.meter,
      trial_period_days: null,
      usage_type: "metered",
    },
    tax_behavior: "unspecified",
    ...(withTiers && scheme.kind === "tiered" ? { tiers: scheme.tiers.map((tier) => tierObject(tier)) } : {}),
    tiers_mode: scheme.kind === "tiered" ? scheme.mode : null,
    transform_quantity: transform === null ? null : { divide_by: Number(transform.divideBy), round: transform.round },
    type: "recurring",
    ...amountFields("unit_amount", scheme.kind === "per_unit" ? scheme.unit : null),
  };
}

function tierObject({ upTo, unit, flat }: Tier): object {
  return {
    ...amountFields("flat_amount", flat),
    ...amountFields("unit_amount", unit),
    up_to: upTo === null ? null : Number(upTo),
  };
}

/** `x` where it is whole, and `x_decimal`. */
export function amountFields(name: string, amount: Decimal | null): Readonly<Record<string, number | string | null>> {
  const text = amount === null ? null : formatDecimal(amount);
  return { [name]: text === null || text.includes(".") ? null : Number(text), [`${name}_decimal`]: text };
}
