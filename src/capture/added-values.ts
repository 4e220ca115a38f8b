import { formatDecimal, isFault, readDecimal, type Decimal } from "../core/decimal.ts";
import { MeterbookError } from "../core/errors.ts";
import type { HoldReason } from "../core/event.ts";
import { pathText } from "../core/field-path.ts";
import { limits } from "../engine/limits.ts";
import { describeValue } from "./options.ts";

/** The values that a handler added, by name: exact sums, or why one of them is no number. */
export type AddedValues = Map<string, Decimal | HoldReason>;

/** Adds one amount. Throws METER_TRACK_INVALID for what is no number or name; the fault stays with the name. */
export function addValue(values: AddedValues, name: unknown, amount: unknown): void {
  if (typeof name !== "string" || name === "" || name.length > limits.identifierLengthMax) {
    throw new MeterbookError(
      "METER_TRACK_INVALID",
      `req.meter.add(): expected a name; received ${describeValue(name)}.`,
    );
  }
  const before = values.get(name);
  if (before === undefined && values.size >= limits.addedValuesMax) {
    throw new MeterbookError(
      "METER_TRACK_INVALID",
      `req.meter.add(): more than ${limits.addedValuesMax} names in one request.`,
    );
  }
  const read = isAmount(amount) ? readDecimal(amount) : "not_a_number";
  if (isFault(read)) {
    values.set(name, read);
    throw new MeterbookError(
      "METER_TRACK_INVALID",
      `req.meter.add(${JSON.stringify(name)}): expected a number, a bigint or a decimal text; received ${describeValue(amount)} (${read}).`,
    );
  }
  // A fault is not cured by a later good amount: the sum would be too small.
  if (typeof before === "string") return;
  values.set(name, (before ?? 0n) + read);
}

/** The sums as decimal texts. */
export function valueTexts(values: AddedValues): Record<string, string> {
  const texts: Record<string, string> = Object.create(null);
  for (const [name, value] of values) if (typeof value === "bigint") texts[name] = formatDecimal(value);
  return texts;
}

/** The names whose amounts were no numbers, as places and reasons. */
export function valueFaults(values: AddedValues): [string, HoldReason][] {
  return [...values].flatMap(([name, value]) =>
    typeof value === "string" ? [[pathText(["values", name]), value]] : [],
  );
}

function isAmount(amount: unknown): boolean {
  return typeof amount === "number" || typeof amount === "bigint" || typeof amount === "string";
}
