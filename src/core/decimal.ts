/** An exact number: its value times 10^12, as a BigInt. Only this module knows the scale. */
export type Decimal = bigint;
/** Why a text or JSON value is not a number here. */
export type NumberFault = "not_a_number" | "too_many_fraction_digits" | "out_of_range" | "unsafe_integer";

/** `half_up` is away from zero on a tie, `floor` towards minus infinity, `ceil` towards plus infinity. */
export type Rounding = "floor" | "ceil" | "half_up" | "half_even";

/** Most fraction digits a number may have. */
const SCALE = 12;
/** Most digits before the point that a single value may have; sums may grow beyond it and stay exact. */
const INTEGER_DIGITS_MAX = 26;
/** Any decimal with this many significant digits survives the way into a double and back (IEEE 754 binary64). */
const DOUBLE_DIGITS = 15;
const POWERS_OF_TEN: readonly bigint[] = Array.from(
  { length: SCALE + INTEGER_DIGITS_MAX + 1 },
  (_, exponent) => 10n ** BigInt(exponent),
);
const ONE = 10n ** BigInt(SCALE);
const INTEGER_LIMIT = 10n ** BigInt(INTEGER_DIGITS_MAX);
/** The grammar of RFC 8259 section 6: no plus sign, no leading zeros, digits on both sides of the point, ASCII only. */
const NUMBER = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([-+]?)([0-9]+))?$/;
/** Whether a quotient with a rest steps away from zero: its sign, its rest less one half, and itself cut off. */
const GOES_AWAY_FROM_ZERO: Readonly<
  Record<Rounding, (isNegative: boolean, fromHalf: bigint, truncated: bigint) => boolean>
> = {
  floor: (isNegative) => isNegative,
  ceil: (isNegative) => !isNegative,
  half_up: (_, fromHalf) => fromHalf >= 0n,
  half_even: (_, fromHalf, truncated) => fromHalf > 0n || (fromHalf === 0n && truncated % 2n !== 0n),
};

/**
 * Parses the grammar of a JSON number (RFC 8259), for JSON texts, strings and header values alike: at most 26 integer
 * and 12 fraction digits after the exponent is expanded. Zeros that do not change the value never count as digits.
 */
export function parseDecimal(text: string): Decimal | NumberFault {
  const plain = plainInteger(text);
  if (plain >= 0) return BigInt(plain) * ONE;
  const match = NUMBER.exec(text);
  if (match === null) return "not_a_number";
  const [, sign, integer = "", fraction = "", exponentSign, exponentDigits = ""] = match;
  const exponent = integerOf(exponentDigits) * (exponentSign === "-" ? -1 : 1);
  return compose(sign === "-", integer + fraction, exponent - fraction.length);
}

/**
 * Reads a metered value of any JSON type (number, numeric string, bigint); everything else is `not_a_number`. A list
 * with one element, as a header with one line arrives, is that element.
 *
 * A JS number counts only if its text is sure to be what was meant: an integer beyond 2^53, and a fraction of more than
 * 15 significant digits that would fit otherwise, is an `unsafe_integer`, since another number may have been rounded to it.
 */
export function readDecimal(value: unknown): Decimal | NumberFault {
  return readScalar(Array.isArray(value) && value.length === 1 ? value[0] : value);
}

/** Whether parsing or reading ended in a reason instead of a number. */
export function isFault(value: Decimal | NumberFault): value is NumberFault {
  return typeof value === "string";
}

/** Shortest plain notation: `0.3`, `-12`, `1000`; never an exponent, never `-0`. */
export function formatDecimal(value: Decimal): string {
  const fraction = value % ONE;
  const integer = (value / ONE).toString();
  if (fraction === 0n) return integer;
  const digits = withoutTrailingZeros(magnitude(fraction).toString().padStart(SCALE, "0"));
  // A value between -1 and 0 has the integer part 0, which bears no sign.
  return `${value < 0n && integer === "0" ? "-0" : integer}.${digits}`;
}

/** The Decimal of a whole number; throws a RangeError for a JS number that is not a safe integer. */
export function fromInteger(value: number | bigint): Decimal {
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    throw new RangeError(`expected a safe integer, received ${value}`);
  }
  return BigInt(value) * ONE;
}

/** Digits of the plain notation without leading zeros; zeros at the end of a whole number count. 0 for zero. */
export function significantDigits(value: Decimal): number {
  return formatDecimal(magnitude(value)).replace(".", "").replace(/^0+/, "").length;
}

/** Exact product, of any size; a fault when it needs more than 12 fraction digits. */
export function multiply(a: Decimal, b: Decimal): Decimal | NumberFault {
  const product = a * b;
  return product % ONE === 0n ? product / ONE : "too_many_fraction_digits";
}

/** Rounds to `digits` fraction digits (0 to 12; more changes nothing); half_up is away from zero, floor towards minus infinity. */
export function roundDecimal(value: Decimal, digits: number, rounding: Rounding): Decimal {
  if (digits >= SCALE) return value;
  const unit = 10n ** BigInt(SCALE - digits);
  return quotient(value, unit, rounding) * unit;
}

/** Quotient rounded to 12 fraction digits; throws a RangeError when `b` is zero. */
export function divide(a: Decimal, b: Decimal, rounding: Rounding): Decimal {
  return quotient(a * ONE, b, rounding);
}

/** The value of a short run of digits, or -1 for any other text. Most metered values are such, and this is ten times faster. */
function plainInteger(text: string): number {
  const length = text.length;
  if (length === 0 || length > DOUBLE_DIGITS) return -1;
  let value = 0;
  for (let at = 0; at < length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return length > 1 && text.charCodeAt(0) === 48 ? -1 : value;
}

/** Digits times 10^exponent as a Decimal. Sizes are checked before anything of that size is made. */
function compose(isNegative: boolean, digits: string, exponent: number): Decimal | NumberFault {
  let start = 0;
  while (digits.charCodeAt(start) === 48) start++;
  if (start === digits.length) return 0n;
  const significant = withoutTrailingZeros(digits).slice(start);
  const power = exponent + (digits.length - start - significant.length);
  if (significant.length + power > INTEGER_DIGITS_MAX) return "out_of_range";
  const factor = POWERS_OF_TEN[SCALE + power];
  if (factor === undefined) return "too_many_fraction_digits";
  const value = BigInt(significant) * factor;
  return isNegative ? -value : value;
}

/** The number that a run of digits denotes; of one beyond 2^53 only the size matters. No digits are 0. */
function integerOf(digits: string): number {
  let value = 0;
  for (let at = 0; at < digits.length; at++) value = value * 10 + digits.charCodeAt(at) - 48;
  return value;
}

function withoutTrailingZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === 48) end--;
  return digits.slice(0, end);
}

function readScalar(value: unknown): Decimal | NumberFault {
  if (typeof value === "string") return parseDecimal(value);
  if (typeof value === "number") return readNumber(value);
  if (typeof value !== "bigint") return "not_a_number";
  return magnitude(value) < INTEGER_LIMIT ? fromInteger(value) : "out_of_range";
}

function readNumber(value: number): Decimal | NumberFault {
  if (Number.isSafeInteger(value)) return BigInt(value) * ONE;
  if (!Number.isFinite(value)) return "not_a_number";
  if (Number.isInteger(value)) return "unsafe_integer";
  const text = value.toString();
  const read = parseDecimal(text);
  // The point takes one more character, so shorter texts need no counting.
  if (isFault(read) || text.length <= DOUBLE_DIGITS + 1) return read;
  return significantDigits(read) > DOUBLE_DIGITS ? "unsafe_integer" : read;
}

function magnitude(value: bigint): bigint {
  return value < 0n ? -value : value;
}

/** Integer quotient with the rounding asked for; BigInt division alone goes towards zero. */
function quotient(dividend: bigint, divisor: bigint, rounding: Rounding): bigint {
  const truncated = dividend / divisor;
  const rest = dividend % divisor;
  if (rest === 0n) return truncated;
  const isNegative = dividend < 0n !== divisor < 0n;
  const fromHalf = 2n * magnitude(rest) - magnitude(divisor);
  if (!GOES_AWAY_FROM_ZERO[rounding](isNegative, fromHalf, truncated)) return truncated;
  return isNegative ? truncated - 1n : truncated + 1n;
}
