import { isFault, parseDecimal, type Decimal } from "../../core/decimal.ts";
import { localStripeBounds } from "./bounds.ts";
import { refuse } from "./stripe-refusal.ts";

/** Reads a payload's value exactly, or refuses it. */
export function readMeteredValue(text: string, payloadKey: string): Decimal {
  const param = `payload[${payloadKey}]`;
  const value = /^-?\d+(?:\.\d+)?$/.test(text) ? parseDecimal(withoutLeadingZeros(text)) : "not_a_number";
  const digits = significantDigits(text);
  if (digits > localStripeBounds.valueDigitsMax) {
    refuse("meter_event.too_many_digits", {
      message: `The value of '${payloadKey}' cannot have more than 15 significant digits, but has ${String(digits)}.`,
      param,
    });
  }
  return isFault(value)
    ? refuse("meter_event.invalid_value", {
        message: `The value of '${payloadKey}' must be a number, but is '${text}'.`,
        param,
      })
    : value;
}

/** Digits without sign, point and leading zeros; zeros at the end of a fraction do not count. 0 for what is no number. */
function significantDigits(text: string): number {
  if (!/^-?\d+(?:\.\d+)?$/.test(text)) {
    return 0;
  }
  const kept = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  return kept.replace("-", "").replace(".", "").replace(/^0+/, "").length;
}

function withoutLeadingZeros(text: string): string {
  return text.replace(/^(-?)0+(?=\d)/, "$1");
}
