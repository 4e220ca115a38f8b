import { z } from "zod";

import { limits } from "../../engine/limits.ts";

/** A route that takes no query parameters: one that is given is a mistake, not ignored. */
export const noQuery = z.strictObject({});

/** A parameter that may be given once or repeatedly. */
export const several = <Entry extends z.ZodType>(entry: Entry, max: number): z.ZodPreprocess<z.ZodArray<Entry>> =>
  z.preprocess((value) => (value === undefined || Array.isArray(value) ? value : [value]), z.array(entry).max(max));

/** A parameter that is true or false. */
export const flag = z
  .enum(["true", "false", "1", "0", ""])
  .transform((text) => text !== "false" && text !== "0")
  .meta({ description: "true or false; the bare name is true.", examples: ["true"] });

/** A parameter that is a whole number of at least 1. */
export const count = (max: number): z.ZodType<number, string> =>
  z
    .string()
    .regex(/^[1-9]\d{0,8}$/, `expected a whole number from 1 to ${max}`)
    .transform(Number)
    .refine((number) => number <= max, `expected a whole number from 1 to ${max}`);

/** What every list takes: how much of it, and where it goes on. */
export const pageQuery = {
  limit: count(limits.listPageMax).meta({ description: "Entries of the page; 100 when absent." }).optional(),
  cursor: z.string().min(1).max(1_024).meta({ description: "What the page before gave as `next`." }).optional(),
};

/** Entries of a page whose size is not asked for. */
export const PAGE_SIZE = 100;

/** A list as it is answered: `next` is null at its end. */
export const listOf = <Entry extends z.ZodType>(
  entry: Entry,
): z.ZodObject<{ data: z.ZodArray<Entry>; next: z.ZodNullable<z.ZodString> }> =>
  z.object({
    data: z.array(entry),
    next: z.string().nullable().meta({ description: "Given as `cursor`, it asks for the next page; null at the end." }),
  });

/** An identifier as callers write it. */
export const identifier = z.string().min(1).max(limits.identifierLengthMax);

/** Text about something, for people. */
export const shortText = z.string().min(1).max(256);
export const longText = z.string().max(1_024);

/** Names and texts beside a thing, which meterbook keeps and does not read. */
export const textMetadata = z
  .record(z.string().min(1).max(64), z.string().max(1_024))
  .refine((members) => Object.keys(members).length <= 50, "expected at most 50 members");

/** An exact decimal number as text. */
export const decimalShown = z
  .string()
  .meta({ description: "An exact decimal number.", pattern: "^-?\\d+(\\.\\d+)?$", examples: ["1234.5"] });
