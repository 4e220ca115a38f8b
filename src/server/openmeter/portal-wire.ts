import { z } from "zod";

import { owns } from "../../core/own-member.ts";
import { limits } from "../../engine/limits.ts";
import type { CreatedPortalToken, PortalToken } from "../../engine/registry/portal-tokens.ts";
import { rfc3339 } from "./instant.ts";
import type { WireNames } from "./wire-mistakes.ts";

/** What v1 calls the members of a token. */
export const TOKEN_NAMES: WireNames = { meters: "allowedMeterSlugs" };

/** The body that makes a portal token. What the server decides is taken and left alone, as OpenMeter does. */
export const tokenSent = z.object({
  subject: z.string().min(1),
  allowedMeterSlugs: z.array(z.string()).max(limits.portalTokenMetersMax).nullish(),
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
export function shownToken(token: PortalToken | CreatedPortalToken, now: number): TokenShown {
  const { id, subject, createdAt, expiresAt, meters } = token;
  return {
    id,
    subject,
    createdAt: rfc3339(createdAt),
    expiresAt: rfc3339(expiresAt),
    expired: expiresAt <= now,
    ...(owns(token, "text") ? { token: token.text } : {}),
    ...(meters === null ? {} : { allowedMeterSlugs: [...meters] }),
  };
}
