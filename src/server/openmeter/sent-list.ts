import { z } from "zod";

/** A query parameter that may be repeated: one value is a list of one. */
export const sentList = z
  .union([z.array(z.string()), z.string()])
  .transform((sent) => (typeof sent === "string" ? [sent] : sent));

/** A whole number in a query parameter. */
export function sentInteger(least: number, most: number): z.ZodType<number, string | number> {
  return z
    .union([z.string().regex(/^\d{1,9}$/, "a whole number is wanted"), z.int()])
    .transform(Number)
    .pipe(z.int().min(least).max(most));
}

/** `true` or `false` in a query parameter. */
export const sentFlag = z
  .union([z.enum(["true", "false"]), z.boolean()])
  .transform((sent) => sent === true || sent === "true");
