import { bounds } from "./bounds.ts";
import { InvalidEventError } from "./client-error.ts";

/** What an event may carry. A bigint is written exactly; a decimal text counts as the number it denotes. */
export type Payload =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | Date
  | readonly Payload[]
  | { readonly [name: string]: Payload };

/** Plain JSON. */
export type PlainJson =
  | string
  | number
  | boolean
  | null
  | readonly PlainJson[]
  | { readonly [name: string]: PlainJson };

/** A number, a bigint, or a decimal text such as `0.125`. */
export type Figure = number | bigint | string;

/** The grammar of a JSON number. */
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$/;

/**
 * A copy of a value as plain JSON that says exactly what the value is: integers beyond 2^53 become texts, which the
 * service counts as the numbers they are. Throws InvalidEventError for what JSON cannot say: NaN, an integer that was
 * rounded already, a function, a circle.
 */
export function plainJson(value: Payload, pointer: string, depth = 0): PlainJson {
  if (depth > bounds.depth) throw new InvalidEventError(pointer, `is more than ${bounds.depth} deep, or a circle`);
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return plainNumber(value, pointer);
  if (typeof value === "bigint") return exactInteger(value);
  if (typeof value === "object") return plainObject(value, pointer, depth);
  throw new InvalidEventError(pointer, `is ${typeof value}, which JSON cannot say`);
}

/** A figure as exact decimal text. Throws InvalidEventError. */
export function figureText(figure: Figure, pointer: string): string {
  if (typeof figure === "bigint") return figure.toString();
  if (typeof figure === "number") return JSON.stringify(plainNumber(figure, pointer));
  if (typeof figure === "string" && NUMBER.test(figure)) return figure;
  throw new InvalidEventError(pointer, "is not a number, a bigint or a decimal text");
}

function plainNumber(value: number, pointer: string): number {
  if (!Number.isFinite(value)) throw new InvalidEventError(pointer, `is ${value}, which is no number to count`);
  if (Number.isInteger(value) && !Number.isSafeInteger(value))
    throw new InvalidEventError(pointer, "is beyond 2^53 and may be rounded already: give a bigint or a decimal text");
  return value;
}

function exactInteger(value: bigint): PlainJson {
  const isSafe = value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER);
  return isSafe ? Number(value) : value.toString();
}

function plainObject(value: object, pointer: string, depth: number): PlainJson {
  if (Array.isArray(value))
    return value.map((each: Payload, at) => plainJson(each ?? null, `${pointer}/${at}`, depth + 1));
  if (value instanceof Date) return dateText(value, pointer);
  if (hasOwnText(value)) return plainJson(value.toJSON(), pointer, depth + 1);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(
    members.map(([name, member]: [string, Payload]) => {
      const step = name.replaceAll("~", "~0").replaceAll("/", "~1");
      return [name, plainJson(member, `${pointer}/${step}`, depth + 1)];
    }),
  );
}

/** Decimal classes of other libraries say themselves how they are written. */
function hasOwnText(value: object): value is { toJSON(): Payload } {
  return "toJSON" in value && typeof value.toJSON === "function";
}

function dateText(value: Date, pointer: string): string {
  if (Number.isNaN(value.getTime())) throw new InvalidEventError(pointer, "is an invalid Date");
  return value.toISOString();
}
