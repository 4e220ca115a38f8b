import { z } from "zod";

import type { CustomerToken } from "../backend.ts";
import { rfc3339 } from "./instant.ts";

/** The body that makes a portal token. What the server decides is taken and left alone, as OpenMeter does. */
export const tokenSent = z.object({
  subject: z.string().min(1),
  allowedMeterSlugs: z.array(z.string()).nullish(),
});

/** The body that ends portal tokens: one by its id, or all of a subject. */
export const tokensEnded = z
  .object({ id: z.string().optional(), subject: z.string().optional() })
  .refine(({ id, subject }) => id !== undefined || subject !== undefined, "an id or a subject is wanted");

/** A portal token as v1 shows it; the token itself only when it is made. */
export const tokenShown = z.object({
  id: z.string(),
  subject: z.string(),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  expired: z.boolean(),
  token: z.string().optional(),
  allowedMeterSlugs: z.array(z.string()).optional(),
});
export type TokenShown = z.output<typeof tokenShown>;

/** A token in v1's words. */
export function shownToken(issued: CustomerToken, now: number): TokenShown {
  const { id, subject, createdAt, expiresAt, token, meters } = issued;
  return {
    id,
    subject,
    createdAt: rfc3339(createdAt),
    expiresAt: rfc3339(expiresAt),
    expired: expiresAt <= now,
    ...(token === null ? {} : { token }),
    ...(meters === null ? {} : { allowedMeterSlugs: [...meters] }),
  };
}
