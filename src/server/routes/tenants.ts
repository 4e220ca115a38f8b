import { z } from "zod";

import { MeterbookError } from "../../core/errors.ts";
import type { Customer } from "../../engine/registry/customer.ts";
import { tenantCustomer } from "../contract/usage.ts";
import { route, type Route } from "../route.ts";

/** Who pays for a tenant: what clients look up before they send. */
export const tenantRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/customers/by-tenant/{tenantId}",
    access: "read",
    tag: "Customers",
    summary: "Find the customer of a tenant",
    description: "The customer that owns the subject now, or has it as its key or id. 404 when nobody does.",
    params: z.object({ tenantId: z.string() }),
    answers: { 200: { description: "The customer", schema: tenantCustomer } },
    reply: async ({ backend, params: { tenantId } }) => {
      const customer = await backend.findCustomer({ tenantId });
      if (customer === null) throw new MeterbookError("METER_NOT_FOUND", "No customer has this tenant");
      return { status: 200, body: shown(customer) };
    },
  }),
];

function shown({ id, key, name, description, currency, primaryEmail, metadata, ...rest }: Customer): object {
  return {
    id,
    key,
    name,
    description,
    currency,
    primaryEmail,
    metadata,
    subjects: rest.subjects.filter(({ to }) => to === null).map(({ subject }) => subject),
    createdAt: new Date(rest.createdAt).toISOString(),
    updatedAt: new Date(rest.updatedAt).toISOString(),
  };
}
