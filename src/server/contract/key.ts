import { z } from "zod";

import type { ApiKey, ApiKeyDraft } from "../../engine/registry/api-keys.ts";
import { SCOPES } from "../route.ts";
import { instantInput, instantShown, instantText } from "./instant.ts";
import { flag, pageQuery, shortText } from "./listing.ts";
import { withoutUndefined } from "./meter.ts";

const limit = z.int().min(1).max(1_000_000_000).nullable().optional();

export const keyInput = z
  .strictObject({
    name: shortText.meta({ description: "What it is for." }),
    scopes: z
      .array(z.enum(SCOPES))
      .min(1)
      .max(SCOPES.length)
      .meta({ description: "ingest sends events, read asks, admin may everything." }),
    expiresAt: instantInput.nullable().optional(),
    limits: z
      .strictObject({ requestsPerSecond: limit, burst: limit, bytesPerSecond: limit })
      .meta({ description: "What it may use up; where absent, what the configuration says." })
      .optional(),
  })
  .meta({ id: "KeyDraft", examples: [{ name: "gateway", scopes: ["ingest"] }] });

const shown = {
  id: z.string().meta({ description: "The key's public prefix." }),
  name: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  expiresAt: instantShown.nullable(),
  limits: z.object({
    requestsPerSecond: z.number().nullable(),
    burst: z.number().nullable(),
    bytesPerSecond: z.number().nullable(),
  }),
  createdAt: instantShown,
  revokedAt: instantShown.nullable(),
  lastUsedAt: instantShown.nullable().meta({ description: "Right to a minute." }),
};

export const keyShown = z.object(shown).meta({ id: "Key" });

export const createdKeyShown = z
  .object({ ...shown, key: z.string().meta({ description: "The key itself: shown once, and kept nowhere." }) })
  .meta({ id: "CreatedKey" });

export const keyQuery = z.strictObject({
  ...pageQuery,
  includeRevoked: flag.optional(),
});

/** A key as its caller describes it. */
export function keyDraftOf({ limits: own, ...given }: z.output<typeof keyInput>): ApiKeyDraft {
  return { ...withoutUndefined(given), ...(own === undefined ? {} : { limits: withoutUndefined(own) }) };
}

/** A key as it is answered. */
export function showKey({ createdAt, expiresAt, revokedAt, lastUsedAt, ...key }: ApiKey): object {
  return {
    ...key,
    createdAt: instantText(createdAt),
    expiresAt: instantText(expiresAt),
    revokedAt: instantText(revokedAt),
    lastUsedAt: instantText(lastUsedAt),
  };
}
