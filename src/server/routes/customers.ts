import { limits } from "../../engine/limits.ts";
import type { CustomerTokens } from "../../engine/registry/customer-tokens.ts";
import type { Backend } from "../backend.ts";
import {
  customerDraftOf,
  customerInput,
  customerQuery,
  customerShown,
  showCustomer,
  showSubject,
  subjectInput,
  subjectShown,
  tokenInput,
  tokenShown,
} from "../contract/customer.ts";
import { instantText } from "../contract/instant.ts";
import { listOf, noQuery, PAGE_SIZE } from "../contract/listing.ts";
import { withoutUndefined } from "../contract/meter.ts";
import { invalidProblem, problemReply } from "../problem.ts";
import { route, type Route } from "../route.ts";
import { byIdOrKey } from "./paths.ts";

const HOUR_S = 3_600;

/** Customers and whose usage they pay. */
export const customerRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/customers",
    access: "read",
    tag: "customers",
    summary: "List customers",
    query: customerQuery,
    answers: { 200: { description: "A page of customers.", schema: listOf(customerShown) } },
    reply: async ({ backend, query: { key, name: namePart, subject, includeDeleted, limit, cursor } }) => {
      const page = cursor === undefined ? 1 : pageNumber(cursor);
      if (page === null)
        return problemReply(
          invalidProblem("The query has mistakes.", [
            { in: "query", pointer: "/cursor", message: "expected what a page gave as next" },
          ]),
        );
      const pageSize = limit ?? PAGE_SIZE;
      const found = await backend.listCustomers({
        page,
        pageSize,
        includeDeleted: includeDeleted === "true",
        ...withoutUndefined({ key, namePart, subject }),
      });
      const next = page * pageSize < found.total ? `p${page + 1}` : null;
      return { status: 200, body: { data: found.items.map(showCustomer), next } };
    },
  }),
  route({
    method: "post",
    path: "/v1/customers",
    access: "admin",
    tag: "customers",
    summary: "Make a customer; it owns what its subjects sent before",
    query: noQuery,
    body: customerInput,
    answers: { 201: { description: "The customer.", schema: customerShown } },
    reply: async ({ backend, caller, body }) => {
      const order = { draft: customerDraftOf(body), author: caller.author };
      return { status: 201, body: showCustomer(await backend.createCustomer(order)) };
    },
  }),
  route({
    method: "get",
    path: "/v1/customers/{idOrKey}",
    access: "read",
    tag: "customers",
    summary: "Get a customer",
    params: byIdOrKey,
    query: noQuery,
    answers: { 200: { description: "The customer.", schema: customerShown } },
    reply: async ({ backend, params }) => ({ status: 200, body: showCustomer(await backend.getCustomer(params)) }),
  }),
  route({
    method: "put",
    path: "/v1/customers/{idOrKey}",
    access: "admin",
    tag: "customers",
    summary: "Change a customer; a subject that is left out is its own no longer",
    params: byIdOrKey,
    query: noQuery,
    body: customerInput,
    answers: { 200: { description: "The customer.", schema: customerShown } },
    reply: async ({ backend, caller, params: { idOrKey }, body }) => {
      const order = { idOrKey, draft: customerDraftOf(body), author: caller.author };
      return { status: 200, body: showCustomer(await backend.updateCustomer(order)) };
    },
  }),
  route({
    method: "delete",
    path: "/v1/customers/{idOrKey}",
    access: "admin",
    tag: "customers",
    summary: "End a customer; its past stays its own",
    params: byIdOrKey,
    query: noQuery,
    answers: { 204: { description: "It is ended." } },
    reply: async ({ backend, caller, params: { idOrKey } }) => {
      await backend.deleteCustomer({ idOrKey, author: caller.author });
      return { status: 204 };
    },
  }),
];

/** Tokens for customers' own pages. */
export function tokenRoutes(tokens: CustomerTokens): readonly Route[] {
  return [
    route({
      method: "post",
      path: "/v1/customers/{idOrKey}/tokens",
      access: "admin",
      tag: "customers",
      summary: "Make a token with which a customer's page asks for its own usage",
      params: byIdOrKey,
      query: noQuery,
      body: tokenInput,
      answers: { 201: { description: "The token, shown once.", schema: tokenShown } },
      reply: async ({ backend, params, body, now }) => {
        const { id: customer } = await backend.getCustomer(params);
        const meters = body.meters === undefined ? null : await keysOf(backend, body.meters);
        const lifetimeMs = Math.min((body.expiresInSeconds ?? HOUR_S) * 1_000, limits.customerTokenMaxMs);
        const grant = { customer, meters, expiresAt: now + lifetimeMs };
        const shown = { customer, meters, expiresAt: instantText(grant.expiresAt) };
        return { status: 201, body: { token: tokens.issue(grant), ...shown } };
      },
    }),
  ];
}

/** Subjects with names for people. */
export const subjectRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/subjects",
    access: "read",
    tag: "subjects",
    summary: "List subjects",
    query: noQuery,
    answers: { 200: { description: "All subjects.", schema: listOf(subjectShown) } },
    reply: async ({ backend }) => {
      const subjects = await backend.listSubjects({});
      return { status: 200, body: { data: subjects.map(showSubject), next: null } };
    },
  }),
  route({
    method: "get",
    path: "/v1/subjects/{idOrKey}",
    access: "read",
    tag: "subjects",
    summary: "Get a subject",
    params: byIdOrKey,
    query: noQuery,
    answers: { 200: { description: "The subject.", schema: subjectShown } },
    reply: async ({ backend, params }) => ({ status: 200, body: showSubject(await backend.getSubject(params)) }),
  }),
  route({
    method: "put",
    path: "/v1/subjects/{idOrKey}",
    access: "admin",
    tag: "subjects",
    summary: "Make or change a subject",
    params: byIdOrKey,
    query: noQuery,
    body: subjectInput,
    answers: { 200: { description: "The subject.", schema: subjectShown } },
    reply: async ({ backend, caller, params: { idOrKey: key }, body }) => {
      const order = { subjects: [{ key, ...withoutUndefined(body) }], author: caller.author };
      const [subject] = await backend.putSubjects(order);
      return subject === undefined ? { status: 204 } : { status: 200, body: showSubject(subject) };
    },
  }),
  route({
    method: "delete",
    path: "/v1/subjects/{idOrKey}",
    access: "admin",
    tag: "subjects",
    summary: "Forget a subject's name; its usage stays",
    params: byIdOrKey,
    query: noQuery,
    answers: { 204: { description: "It is forgotten." } },
    reply: async ({ backend, caller, params: { idOrKey } }) => {
      await backend.deleteSubject({ idOrKey, author: caller.author });
      return { status: 204 };
    },
  }),
];

/** Only meters that are there: a token for a misspelt one would show nothing, and say nothing. */
async function keysOf(backend: Backend, idsOrKeys: readonly string[]): Promise<readonly string[]> {
  const keys: string[] = [];
  for (const idOrKey of idsOrKeys) keys.push((await backend.getMeter({ idOrKey })).key);
  return [...new Set(keys)];
}

function pageNumber(cursor: string): number | null {
  const [, digits] = /^p([1-9]\d{0,6})$/.exec(cursor) ?? [];
  return digits === undefined ? null : Number(digits);
}
