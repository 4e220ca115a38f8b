import { createdKeyShown, keyDraftOf, keyInput, keyQuery, keyShown, showKey } from "../contract/key.ts";
import { listOf, noQuery, PAGE_SIZE } from "../contract/listing.ts";
import { withoutUndefined } from "../contract/meter.ts";
import { route, type Route } from "../route.ts";
import { byId } from "./paths.ts";

/** API keys. Their routes bear the tag by which the edge knows that keys changed. */
export const keyRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/keys",
    access: "admin",
    tag: "keys",
    summary: "List keys, without their secrets",
    query: keyQuery,
    answers: { 200: { description: "A page of keys.", schema: listOf(keyShown) } },
    reply: async ({ backend, query: { includeRevoked, cursor: after, limit = PAGE_SIZE } }) => {
      const keys = await backend.listKeys({
        includeRevoked: includeRevoked ?? false,
        limit,
        ...withoutUndefined({ after }),
      });
      const next = keys.length < limit ? null : (keys.at(-1)?.id ?? null);
      return { status: 200, body: { data: keys.map(showKey), next } };
    },
  }),
  route({
    method: "post",
    path: "/v1/keys",
    access: "admin",
    tag: "keys",
    summary: "Make a key; it is shown once",
    query: noQuery,
    body: keyInput,
    answers: { 201: { description: "The key.", schema: createdKeyShown } },
    reply: async ({ backend, caller, body }) => {
      const { key, text } = await backend.createKey({ draft: keyDraftOf(body), author: caller.author });
      return { status: 201, body: { ...showKey(key), key: text } };
    },
  }),
  route({
    method: "get",
    path: "/v1/keys/{id}",
    access: "admin",
    tag: "keys",
    summary: "Get a key, without its secret",
    params: byId,
    query: noQuery,
    answers: { 200: { description: "The key.", schema: keyShown } },
    reply: async ({ backend, params }) => ({ status: 200, body: showKey(await backend.getKey(params)) }),
  }),
  route({
    method: "delete",
    path: "/v1/keys/{id}",
    access: "admin",
    tag: "keys",
    summary: "Revoke a key at once",
    params: byId,
    query: noQuery,
    answers: { 204: { description: "It opens nothing any more." } },
    reply: async ({ backend, caller, params: { id } }) => {
      await backend.revokeKey({ id, author: caller.author });
      return { status: 204 };
    },
  }),
];
