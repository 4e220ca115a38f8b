import { z } from "zod";

import { identifier, listOf, noQuery, shortText } from "../contract/listing.ts";
import { meterTypeInput, meterTypePatch, meterTypeShown, showMeterType, typePatchOf } from "../contract/metering.ts";
import { route, type Route } from "../route.ts";

const byIdOrName = z.strictObject({ idOrName: identifier.meta({ description: "Id or name." }) });

/** Meter types: products from which customers' meters are made. */
export const meterTypeRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/meter-types",
    access: "read",
    tag: "meter types",
    summary: "List meter types",
    query: z.strictObject({ name: shortText.optional(), category: shortText.optional() }),
    answers: { 200: { description: "Meter types.", schema: listOf(meterTypeShown) } },
    reply: async ({ backend, query }) => {
      const types = await backend.listMeterTypes(query);
      return { status: 200, body: { data: types.map(showMeterType), next: null } };
    },
  }),
  route({
    method: "post",
    path: "/v1/meter-types",
    access: "admin",
    tag: "meter types",
    summary: "Make a meter type",
    query: noQuery,
    body: meterTypeInput,
    answers: { 201: { description: "The meter type.", schema: meterTypeShown } },
    reply: async ({ backend, caller, body: draft }) => ({
      status: 201,
      body: showMeterType(await backend.createMeterType({ draft, author: caller.author })),
    }),
  }),
  route({
    method: "get",
    path: "/v1/meter-types/{idOrName}",
    access: "read",
    tag: "meter types",
    summary: "Get a meter type",
    params: byIdOrName,
    query: noQuery,
    answers: { 200: { description: "The meter type.", schema: meterTypeShown } },
    reply: async ({ backend, params }) => ({ status: 200, body: showMeterType(await backend.getMeterType(params)) }),
  }),
  route({
    method: "patch",
    path: "/v1/meter-types/{idOrName}",
    access: "admin",
    tag: "meter types",
    summary: "Change a meter type for meters that are made from now on",
    params: byIdOrName,
    query: noQuery,
    body: meterTypePatch,
    answers: { 200: { description: "The meter type.", schema: meterTypeShown } },
    reply: async ({ backend, caller, params: { idOrName }, body }) => {
      const order = { idOrName, patch: typePatchOf(body), author: caller.author };
      return { status: 200, body: showMeterType(await backend.updateMeterType(order)) };
    },
  }),
  route({
    method: "delete",
    path: "/v1/meter-types/{idOrName}",
    access: "admin",
    tag: "meter types",
    summary: "Delete a meter type that no meter is of",
    params: byIdOrName,
    query: noQuery,
    answers: { 204: { description: "It is deleted." } },
    reply: async ({ backend, caller, params: { idOrName } }) => {
      await backend.deleteMeterType({ idOrName, author: caller.author });
      return { status: 204 };
    },
  }),
];
