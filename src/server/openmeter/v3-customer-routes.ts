import { z } from "zod";

import { route, type Route } from "../route.ts";
import { listCustomers } from "./customer-list.ts";
import { textField, withoutAbsent } from "./field-filter.ts";
import { jsonReply, NO_CONTENT } from "./reply.ts";
import {
  V3_CUSTOMER_NAMES,
  v3CustomerCreate,
  v3CustomerDraft,
  v3CustomerReplace,
  v3CustomerShown,
  v3ShownCustomer,
} from "./v3-customer-wire.ts";
import { PAGE_SIZE, pageAsked, pageBody, pageSchema, sortOf } from "./v3-pages.ts";
import { inWireWords } from "./wire-mistakes.ts";

const tag = "OpenMeter v3: customers";
const params = z.object({ customerId: z.string() });
const found = { description: "The customer.", schema: v3CustomerShown };

const listQuery = z.object({
  page: pageAsked.optional(),
  sort: z.string().optional(),
  filter: z
    .strictObject({
      key: textField.optional(),
      name: textField.optional(),
      primary_email: textField.optional(),
      usage_attribution_subject_key: textField.optional(),
    })
    .optional(),
});

/** Customers over v3, under a base path. */
export function v3CustomerRoutes(base: string): readonly Route[] {
  return [listRoute(base), createRoute(base), getRoute(base), replaceRoute(base), deleteRoute(base)];
}

function listRoute(base: string): Route {
  return route({
    method: "get",
    path: `${base}/customers`,
    access: "read",
    tag,
    summary: "List customers, page by page",
    query: listQuery,
    answers: { 200: { description: "One page.", schema: pageSchema(v3CustomerShown) } },
    async reply({ backend, query: { page, sort, filter }, now }) {
      const [pageSize, number] = [page?.size ?? PAGE_SIZE, page?.number ?? 1];
      const { by, descending } = sortOf(sort, ["id", "name", "created_at"], "name");
      const conditions = withoutAbsent({
        key: filter?.key,
        name: filter?.name,
        primaryEmail: filter?.primary_email,
        subject: filter?.usage_attribution_subject_key,
      });
      const sortBy = by === "created_at" ? "createdAt" : by;
      const listing = { page: number, pageSize, sortBy, descending, includeDeleted: false, ...conditions } as const;
      const { items, total } = await listCustomers(backend, listing, now);
      const rows = items.map((customer) => v3ShownCustomer(customer, now));
      return jsonReply(200, pageBody(rows, number, pageSize, total));
    },
  });
}

function createRoute(base: string): Route {
  return route({
    method: "post",
    path: `${base}/customers`,
    access: "admin",
    tag,
    summary: "Create a customer, who owns what its subjects sent before too",
    body: v3CustomerCreate,
    answers: { 201: found },
    async reply({ backend, body, caller: { author }, now }) {
      const draft = v3CustomerDraft(body, body.key);
      const customer = await inWireWords(V3_CUSTOMER_NAMES, () => backend.createCustomer({ draft, author }));
      return jsonReply(201, v3ShownCustomer(customer, now));
    },
  });
}

function getRoute(base: string): Route {
  return route({
    method: "get",
    path: `${base}/customers/{customerId}`,
    access: "read",
    tag,
    summary: "Get a customer by its id or key",
    params,
    answers: { 200: found },
    async reply({ backend, params: { customerId }, now }) {
      return jsonReply(200, v3ShownCustomer(await backend.getCustomer({ idOrKey: customerId }), now));
    },
  });
}

function replaceRoute(base: string): Route {
  return route({
    method: "put",
    path: `${base}/customers/{customerId}`,
    access: "admin",
    tag,
    summary: "Replace a customer; its key stays",
    description: "A subject that is left out ends now: what it sent until now stays this customer's.",
    params,
    body: v3CustomerReplace,
    answers: { 200: found },
    async reply({ backend, params: { customerId }, body, caller: { author }, now }) {
      const { id, key } = await backend.getCustomer({ idOrKey: customerId });
      const order = { idOrKey: id, draft: v3CustomerDraft(body, key), author };
      const customer = await inWireWords(V3_CUSTOMER_NAMES, () => backend.updateCustomer(order));
      return jsonReply(200, v3ShownCustomer(customer, now));
    },
  });
}

function deleteRoute(base: string): Route {
  return route({
    method: "delete",
    path: `${base}/customers/{customerId}`,
    access: "admin",
    tag,
    summary: "Delete a customer; its past stays its own",
    params,
    answers: { 204: { description: "It is deleted." } },
    async reply({ backend, params: { customerId }, caller: { author } }) {
      await backend.deleteCustomer({ idOrKey: customerId, author });
      return NO_CONTENT;
    },
  });
}
