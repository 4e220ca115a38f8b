import { z } from "zod";

import type { Json } from "../../core/event.ts";
import type { Subject } from "../../engine/registry/customer.ts";
import { rfc3339 } from "./instant.ts";

const later = "is not kept: make a customer that owns the subject";

/** One subject of an upsert. Whom it is billed to is a customer's matter: what is refused here would otherwise be lost. */
export const subjectSent = z.object({
  key: z.string().min(1),
  displayName: z.string().nullish(),
  metadata: z.record(z.string(), z.json()).nullish(),
  stripeCustomerId: z.null({ error: `a subject's stripeCustomerId ${later}` }).optional(),
  currentPeriodStart: z.undefined({ error: `a subject's currentPeriodStart ${later}` }).optional(),
  currentPeriodEnd: z.undefined({ error: `a subject's currentPeriodEnd ${later}` }).optional(),
});
export type SubjectSent = z.output<typeof subjectSent>;

/** A subject as v1 shows it. */
export const subjectShown = z.object({
  id: z.string(),
  key: z.string(),
  displayName: z.string().optional(),
  metadata: z.record(z.string(), z.unknown()),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});
export type SubjectShown = z.output<typeof subjectShown>;

/** A subject that a call states. What it leaves out stays as it is. */
export function subjectDraft({ key, displayName, metadata }: SubjectSent): {
  readonly key: string;
  readonly displayName?: string | null;
  readonly metadata?: Readonly<Record<string, Json>>;
} {
  return {
    key,
    ...(displayName === undefined ? {} : { displayName }),
    ...(metadata === undefined ? {} : { metadata: metadata ?? {} }),
  };
}

/** A subject in v1's words. */
export function shownSubject({ id, key, displayName, metadata, createdAt, updatedAt }: Subject): SubjectShown {
  return {
    id,
    key,
    ...(displayName === null ? {} : { displayName }),
    metadata,
    createdAt: rfc3339(createdAt),
    updatedAt: rfc3339(updatedAt),
  };
}
