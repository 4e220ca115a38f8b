import { z } from "zod";

import type { Json } from "../../core/event.ts";
import type { Customer, CustomerDraft } from "../../engine/registry/customer.ts";
import { rfc3339 } from "./instant.ts";
import { refusal, type WireNames } from "./wire-mistakes.ts";

/** What v1 calls the members of a customer. */
export const CUSTOMER_NAMES: WireNames = { subjects: "usageAttribution/subjectKeys", extra: "billingAddress" };

const optionalText = z.string().max(256).nullish();

const address = z.object({
  country: optionalText,
  postalCode: optionalText,
  state: optionalText,
  city: optionalText,
  line1: optionalText,
  line2: optionalText,
  phoneNumber: optionalText,
});

/** The body that creates or replaces a customer over v1. */
export const customerSent = z.object({
  name: z.string().min(1).max(256),
  description: z.string().max(1024).nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  key: z.string().min(1).max(256).nullish(),
  usageAttribution: z.object({ subjectKeys: z.array(z.string().min(1)) }).nullish(),
  primaryEmail: z.string().nullish(),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, "a currency has three capital letters, such as USD")
    .nullish(),
  billingAddress: address.nullish(),
});
export type CustomerSent = z.output<typeof customerSent>;

/** A customer as v1 shows it. */
export const customerShown = z.object({
  id: z.string(),
  key: z.string().optional(),
  name: z.string(),
  description: z.string().optional(),
  metadata: z.record(z.string(), z.string()),
  usageAttribution: z.object({ subjectKeys: z.array(z.string()) }),
  primaryEmail: z.string().optional(),
  currency: z.string().optional(),
  billingAddress: z.unknown().optional(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  deletedAt: z.iso.datetime().optional(),
});
export type CustomerShown = z.output<typeof customerShown>;

/** The customer that a call describes, whole: what it leaves out is empty. Throws METER_REQUEST_INVALID. */
export function customerDraft(sent: CustomerSent): CustomerDraft {
  const { key, usageAttribution, billingAddress } = sent;
  const subjects = usageAttribution?.subjectKeys ?? [];
  if ((key === null || key === undefined) && subjects.length === 0) {
    throw refusal([{ pointer: "/key", message: "a customer needs a key, or subjectKeys in usageAttribution" }]);
  }
  return {
    name: sent.name,
    key: key ?? null,
    description: sent.description ?? null,
    currency: sent.currency ?? null,
    primaryEmail: sent.primaryEmail ?? null,
    metadata: sent.metadata ?? {},
    subjects,
    extra: billingAddress === null || billingAddress === undefined ? {} : { billingAddress: stated(billingAddress) },
  };
}

/** A customer in v1's words, with the subjects that it owns at this instant. */
export function shownCustomer(customer: Customer, now: number): CustomerShown {
  const { key, description, primaryEmail, currency, extra, deletedAt } = customer;
  const billingAddress = Object.hasOwn(extra, "billingAddress") ? extra["billingAddress"] : undefined;
  return {
    id: customer.id,
    ...(key === null ? {} : { key }),
    name: customer.name,
    ...(description === null ? {} : { description }),
    metadata: customer.metadata,
    usageAttribution: { subjectKeys: [...subjectsAt(customer, now)] },
    ...(primaryEmail === null ? {} : { primaryEmail }),
    ...(currency === null ? {} : { currency }),
    ...(billingAddress === undefined ? {} : { billingAddress }),
    createdAt: rfc3339(customer.createdAt),
    updatedAt: rfc3339(customer.updatedAt),
    ...(deletedAt === null ? {} : { deletedAt: rfc3339(deletedAt) }),
  };
}

/** The subjects that a customer owns at an instant; of a deleted one those that it had when it was deleted. */
export function subjectsAt({ subjects, deletedAt }: Customer, now: number): readonly string[] {
  const at = deletedAt === null ? now : deletedAt - 1;
  return subjects
    .filter(({ from, to }) => (from === null || from <= at) && (to === null || to > at))
    .map(({ subject }) => subject);
}

/** The members of an address that are stated. */
function stated(sent: Readonly<Record<string, string | null | undefined>>): Json {
  const members = Object.entries(sent).flatMap(([name, value]) =>
    value === null || value === undefined ? [] : [[name, value] as const],
  );
  return Object.fromEntries(members);
}
