import { z } from "zod";

import type { Customer, CustomerDraft } from "../../engine/registry/customer.ts";
import { customerDraft, shownCustomer } from "./customer-wire.ts";
import type { WireNames } from "./wire-mistakes.ts";

/** What v3 calls the members of a customer. */
export const V3_CUSTOMER_NAMES: WireNames = {
  subjects: "usage_attribution/subject_keys",
  primaryEmail: "primary_email",
  metadata: "labels",
  extra: "billing_address",
};

const optionalText = z.string().max(256).nullish();

/** v3's name of an address's member → v1's. */
const ADDRESS = {
  country: "country",
  postal_code: "postalCode",
  state: "state",
  city: "city",
  line1: "line1",
  line2: "line2",
  phone_number: "phoneNumber",
} as const;

const described = {
  name: z.string().min(1).max(256),
  description: z.string().max(1024).nullish(),
  labels: z.record(z.string(), z.string()).nullish(),
  usage_attribution: z.object({ subject_keys: z.array(z.string().min(1)) }).nullish(),
  primary_email: z.string().nullish(),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, "a currency has three capital letters, such as USD")
    .nullish(),
  billing_address: z
    .object({
      country: optionalText,
      postal_code: optionalText,
      state: optionalText,
      city: optionalText,
      line1: optionalText,
      line2: optionalText,
      phone_number: optionalText,
    })
    .nullish(),
};

/** The body that creates a customer over v3. */
export const v3CustomerCreate = z.object({ ...described, key: z.string().min(1).max(256) });

/** The body that replaces a customer over v3, whose key stays. */
export const v3CustomerReplace = z.object(described);

/** A customer as v3 shows it. */
export const v3CustomerShown = z.object({
  id: z.string(),
  key: z.string().optional(),
  name: z.string(),
  description: z.string().optional(),
  labels: z.record(z.string(), z.string()),
  usage_attribution: z.object({ subject_keys: z.array(z.string()) }),
  primary_email: z.string().optional(),
  currency: z.string().optional(),
  billing_address: z.record(z.string(), z.unknown()).optional(),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
  deleted_at: z.iso.datetime().optional(),
});

/** The customer that a v3 call describes, whole. `key` is null for one that has none. */
export function v3CustomerDraft(sent: z.output<typeof v3CustomerReplace>, key: string | null): CustomerDraft {
  const { name, description, labels, usage_attribution, primary_email, currency, billing_address } = sent;
  return customerDraft({
    name,
    key,
    description,
    metadata: labels,
    usageAttribution: usage_attribution ? { subjectKeys: usage_attribution.subject_keys } : null,
    primaryEmail: primary_email,
    currency,
    billingAddress: billing_address ? renamed(billing_address, ADDRESS) : null,
  });
}

/** A customer in v3's words. */
export function v3ShownCustomer(customer: Customer, now: number): z.output<typeof v3CustomerShown> {
  const { metadata, usageAttribution, primaryEmail, billingAddress, createdAt, updatedAt, deletedAt, ...same } =
    shownCustomer(customer, now);
  const back = Object.fromEntries(Object.entries(ADDRESS).map(([small, camel]) => [camel, small] as const));
  return {
    ...same,
    labels: metadata,
    usage_attribution: { subject_keys: usageAttribution.subjectKeys },
    ...(primaryEmail === undefined ? {} : { primary_email: primaryEmail }),
    ...(isRecord(billingAddress) ? { billing_address: renamed(billingAddress, back) } : {}),
    created_at: createdAt,
    updated_at: updatedAt,
    ...(deletedAt === undefined ? {} : { deleted_at: deletedAt }),
  };
}

/** The members that have a name on the other side, under it. */
function renamed<Value>(
  members: Readonly<Record<string, Value>>,
  names: Readonly<Record<string, string>>,
): Record<string, Value> {
  const found = Object.entries(members).flatMap(([name, value]) =>
    Object.hasOwn(names, name) ? [[names[name] ?? name, value] as const] : [],
  );
  return Object.fromEntries(found);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
