import { z } from "zod";

import { limits } from "../../engine/limits.ts";
import { route, type Route } from "../route.ts";
import { listCustomers, type CustomerListing } from "./customer-list.ts";
import { CUSTOMER_NAMES, customerDraft, customerSent, customerShown, shownCustomer } from "./customer-wire.ts";
import { withoutAbsent } from "./field-filter.ts";
import { jsonReply, NO_CONTENT } from "./reply.ts";
import { sentFlag, sentInteger, sentList } from "./sent-list.ts";
import type { TextCondition } from "./text-condition.ts";
import { inWireWords, refusal } from "./wire-mistakes.ts";

const tag = "OpenMeter: customers";
const params = z.object({ customerIdOrKey: z.string() });
const found = { description: "The customer.", schema: customerShown };

const listQuery = z.object({
  page: sentInteger(1, 1_000_000).optional(),
  pageSize: sentInteger(1, limits.openmeterPageMax).optional(),
  order: z.enum(["ASC", "DESC"]).optional(),
  orderBy: z.enum(["id", "name", "createdAt"]).optional(),
  includeDeleted: sentFlag.optional(),
  key: z.string().optional(),
  name: z.string().optional(),
  primaryEmail: z.string().optional(),
  subject: z.string().optional(),
  planKey: z.string().optional(),
  expand: sentList.optional(),
});

/** Customers over v1. */
export const customerRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/api/v1/customers",
    access: "read",
    tag,
    summary: "List customers, page by page",
    description:
      "`key`, `name`, `primaryEmail` and `subject` are parts of a text, in any case. Without `orderBy` in the order in which they were made.",
    query: listQuery,
    answers: {
      200: {
        description: "One page.",
        schema: z.object({
          items: z.array(customerShown),
          page: z.int(),
          pageSize: z.int(),
          totalCount: z.int(),
        }),
      },
    },
    async reply({ backend, query, now }) {
      const listing = customersAsked(query);
      const { items, total } = await listCustomers(backend, listing, now);
      const { page, pageSize } = listing;
      return jsonReply(200, {
        items: items.map((customer) => shownCustomer(customer, now)),
        page,
        pageSize,
        totalCount: total,
      });
    },
  }),
  route({
    method: "post",
    path: "/api/v1/customers",
    access: "admin",
    tag,
    summary: "Create a customer, who owns what its subjects sent before too",
    body: customerSent,
    answers: { 201: found },
    async reply({ backend, body, caller: { author }, now }) {
      const draft = customerDraft(body);
      const customer = await inWireWords(CUSTOMER_NAMES, () => backend.createCustomer({ draft, author }));
      return jsonReply(201, shownCustomer(customer, now));
    },
  }),
  route({
    method: "get",
    path: "/api/v1/customers/{customerIdOrKey}",
    access: "read",
    tag,
    summary: "Get a customer",
    params,
    answers: { 200: found },
    async reply({ backend, params: { customerIdOrKey }, now }) {
      return jsonReply(200, shownCustomer(await backend.getCustomer({ idOrKey: customerIdOrKey }), now));
    },
  }),
  route({
    method: "put",
    path: "/api/v1/customers/{customerIdOrKey}",
    access: "admin",
    tag,
    summary: "Replace a customer",
    description: "A subject that is left out ends now: what it sent until now stays this customer's.",
    params,
    body: customerSent,
    answers: { 200: found },
    async reply({ backend, params: { customerIdOrKey }, body, caller: { author }, now }) {
      const order = { idOrKey: customerIdOrKey, draft: customerDraft(body), author };
      const customer = await inWireWords(CUSTOMER_NAMES, () => backend.updateCustomer(order));
      return jsonReply(200, shownCustomer(customer, now));
    },
  }),
  route({
    method: "delete",
    path: "/api/v1/customers/{customerIdOrKey}",
    access: "admin",
    tag,
    summary: "Delete a customer; its past stays its own",
    params,
    answers: { 204: { description: "It is deleted." } },
    async reply({ backend, params: { customerIdOrKey }, caller: { author } }) {
      await backend.deleteCustomer({ idOrKey: customerIdOrKey, author });
      return NO_CONTENT;
    },
  }),
];

/** A v1 list of customers. Throws METER_REQUEST_INVALID for what this release cannot narrow by or add. */
function customersAsked(query: z.output<typeof listQuery>): CustomerListing {
  const { page = 1, pageSize = 100, order = "ASC", orderBy = "id", includeDeleted = false } = query;
  if (query.planKey !== undefined) throw refusal([{ pointer: "/planKey", message: "this release has no plans" }]);
  if (query.expand !== undefined && query.expand.length > 0)
    throw refusal([{ pointer: "/expand", message: "this release has no subscriptions" }]);
  return {
    page,
    pageSize,
    sortBy: orderBy,
    descending: order === "DESC",
    includeDeleted,
    ...withoutAbsent({
      key: partOf(query.key),
      name: partOf(query.name),
      primaryEmail: partOf(query.primaryEmail),
      subject: partOf(query.subject),
    }),
  };
}

function partOf(text: string | undefined): TextCondition | undefined {
  return text === undefined ? undefined : { parts: [text] };
}
