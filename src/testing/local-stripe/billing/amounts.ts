import { divide, formatDecimal, fromInteger, roundDecimal, type Decimal } from "../../../core/decimal.ts";
import type { PriceRecord, Tier } from "./records.ts";

/** A part of a quantity with what it costs. */
export interface PricedPart {
  readonly quantity: Decimal;
  readonly unit: Decimal | null;
  /** Whole units of the currency's smallest, halves rounded up. */
  readonly amount: bigint;
}

/** What a quantity costs: one part, or one for each tier that a graduated price reached. Below zero is zero. */
export function pricedParts({ scheme, transform }: PriceRecord, quantity: Decimal): readonly PricedPart[] {
  const billed = quantity < 0n ? 0n : quantity;
  if (scheme.kind === "per_unit") {
    const packages =
      transform === null
        ? billed
        : roundDecimal(divide(billed, fromInteger(transform.divideBy), "floor"), 0, "floor") +
          (transform.round === "up" && !isMultiple(billed, transform.divideBy) ? fromInteger(1) : 0n);
    return [{ quantity: billed, unit: scheme.unit, amount: cost([[packages, scheme.unit]], null) }];
  }
  return scheme.mode === "volume" ? [volumePart(scheme.tiers, billed)] : graduatedParts(scheme.tiers, billed);
}

function volumePart(tiers: readonly Tier[], quantity: Decimal): PricedPart {
  const tier = tiers.find(({ upTo }) => upTo === null || quantity <= fromInteger(upTo));
  const unit = tier?.unit ?? 0n;
  return { quantity, unit, amount: cost([[quantity, unit]], quantity === 0n ? null : (tier?.flat ?? null)) };
}

function graduatedParts(tiers: readonly Tier[], quantity: Decimal): readonly PricedPart[] {
  const parts: PricedPart[] = [];
  let from = 0n;
  for (const { upTo, unit, flat } of tiers) {
    const end = upTo === null || quantity < fromInteger(upTo) ? quantity : fromInteger(upTo);
    if (end > from || parts.length === 0) {
      const within = end - from;
      parts.push({ quantity: within, unit, amount: cost([[within, unit ?? 0n]], within === 0n ? null : flat) });
      from = end;
    }
  }
  return parts;
}

/** Sum of products and a flat amount, rounded once; exact before that, whatever the number of digits. */
function cost(products: readonly (readonly [Decimal, Decimal])[], flat: Decimal | null): bigint {
  const terms = [...products, ...(flat === null ? [] : [[fromInteger(1), flat] as const])].map(([a, b]) => {
    const [left, right] = [scaled(a), scaled(b)];
    return { digits: left.digits * right.digits, places: left.places + right.places };
  });
  const places = Math.max(...terms.map((term) => term.places));
  const sum = terms.reduce((total, term) => total + term.digits * 10n ** BigInt(places - term.places), 0n);
  const one = 10n ** BigInt(places);
  return (2n * sum + one) / (2n * one);
}

function scaled(value: Decimal): { readonly digits: bigint; readonly places: number } {
  const [integer = "0", fraction = ""] = formatDecimal(value).split(".");
  return { digits: BigInt(integer + fraction), places: fraction.length };
}

function isMultiple(quantity: Decimal, divisor: bigint): boolean {
  return quantity % fromInteger(divisor) === 0n;
}
