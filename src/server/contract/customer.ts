import { z } from "zod";

import { limits } from "../../engine/limits.ts";
import type { Customer, CustomerDraft, Subject } from "../../engine/registry/customer.ts";
import { instantShown, instantText } from "./instant.ts";
import { identifier, longText, pageQuery, shortText, textMetadata } from "./listing.ts";
import { withoutUndefined } from "./meter.ts";

export const customerInput = z
  .strictObject({
    name: shortText,
    key: identifier
      .nullable()
      .meta({ description: "The company id that usage is billed to; the customer's id when absent." })
      .optional(),
    description: longText.nullable().optional(),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, 'expected a currency such as "EUR"')
      .nullable()
      .optional(),
    primaryEmail: z.string().min(3).max(254).nullable().optional(),
    metadata: textMetadata.optional(),
    subjects: z
      .array(identifier)
      .max(1_000)
      .meta({ description: "Whose usage it pays from now on; a subject belongs to one customer." })
      .optional(),
  })
  .meta({ id: "CustomerDraft", examples: [{ name: "Acme", key: "acme", subjects: ["acme-eu", "acme-us"] }] });

export const customerShown = z
  .object({
    id: z.string(),
    key: z.string().nullable(),
    name: z.string(),
    description: z.string().nullable(),
    currency: z.string().nullable(),
    primaryEmail: z.string().nullable(),
    metadata: textMetadata,
    subjects: z.array(z.object({ subject: z.string(), from: instantShown.nullable(), to: instantShown.nullable() })),
    createdAt: instantShown,
    updatedAt: instantShown,
    deletedAt: instantShown.nullable(),
  })
  .meta({ id: "Customer" });

export const customerQuery = z.strictObject({
  ...pageQuery,
  key: identifier.optional(),
  name: identifier.meta({ description: "A part of the name." }).optional(),
  subject: identifier.optional(),
  includeDeleted: z.enum(["true", "false"]).optional(),
});

export const subjectInput = z
  .strictObject({
    displayName: shortText.nullable().optional(),
    metadata: z.record(z.string().max(64), z.json()).optional(),
  })
  .meta({ id: "SubjectDraft", examples: [{ displayName: "Acme, Europe" }] });

export const subjectShown = z
  .object({
    id: z.string(),
    key: z.string(),
    displayName: z.string().nullable(),
    metadata: z.record(z.string(), z.json()),
    createdAt: instantShown,
    updatedAt: instantShown,
  })
  .meta({ id: "Subject" });

export const tokenInput = z
  .strictObject({
    meters: z
      .array(identifier)
      .min(1)
      .max(limits.customerTokenMetersMax)
      .meta({ description: "Meters that it shows, by id or key; all when absent." })
      .optional(),
    expiresInSeconds: z
      .int()
      .min(1)
      .max(limits.customerTokenMaxMs / 1_000)
      .meta({ description: "3600 when absent." })
      .optional(),
  })
  .meta({ id: "CustomerTokenDraft", examples: [{ meters: ["tokens_total"], expiresInSeconds: 900 }] });

export const tokenShown = z
  .object({
    token: z.string().meta({ description: "Shown once, and kept nowhere." }),
    customer: z.string(),
    meters: z.array(z.string()).nullable(),
    expiresAt: instantShown,
  })
  .meta({ id: "CustomerToken" });

/** A customer as its caller describes it. */
export function customerDraftOf(given: z.output<typeof customerInput>): CustomerDraft {
  return withoutUndefined(given);
}

/** A customer as it is answered. */
export function showCustomer(customer: Customer): object {
  const { id, key, name, description, currency, primaryEmail, metadata } = customer;
  const { subjects, createdAt, updatedAt, deletedAt } = customer;
  return {
    ...{ id, key, name, description, currency, primaryEmail, metadata },
    subjects: subjects.map(({ subject, from, to }) => ({ subject, from: instantText(from), to: instantText(to) })),
    createdAt: instantText(createdAt),
    updatedAt: instantText(updatedAt),
    deletedAt: instantText(deletedAt),
  };
}

/** A subject as it is answered. */
export function showSubject({ createdAt, updatedAt, ...subject }: Subject): object {
  return { ...subject, createdAt: instantText(createdAt), updatedAt: instantText(updatedAt) };
}
