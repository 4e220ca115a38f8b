import { isFault, parseDecimal, type Decimal } from "../../core/decimal.ts";
import { localStripeBounds } from "./bounds.ts";
import { rejection, type Rejection } from "./validation/rejection.ts";

/** Reads a payload's value exactly, or says why it is none. */
export function readMeteredValue(text: string, payloadKey: string): Decimal | Rejection {
  const param = `payload[${payloadKey}]`;
  const value = /^-?\d+(?:\.\d+)?$/.test(text) ? parseDecimal(withoutLeadingZeros(text)) : "not_a_number";
  if (significantDigits(text) > localStripeBounds.valueDigitsMax) {
    return rejection("meter_event.too_many_digits", {
      message: `The value in the event payload can have at most ${String(localStripeBounds.valueDigitsMax)} digits. Received ${text}.`,
      param,
    });
  }
  return isFault(value)
    ? rejection("meter_event.invalid_value", {
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
