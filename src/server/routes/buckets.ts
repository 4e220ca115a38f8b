import { z } from "zod";

import { flag, identifier, listOf, noQuery } from "../contract/listing.ts";
import {
  bucketInput,
  bucketPatch,
  bucketShown,
  showBucket,
  showStanding,
  standingShown,
} from "../contract/metering.ts";
import { route, type Route } from "../route.ts";
import { byId } from "./paths.ts";

const bucketQuery = { meterKey: identifier.optional(), meterType: identifier.optional() };
const purgedShown = z.object({
  meters: z.int(),
  byType: z.array(z.object({ type: z.string(), meters: z.int() })),
  finalRecords: z.int().meta({ description: "Of ended periods, made first; of a dry run, meters that would get any." }),
  applied: z.boolean(),
});

/** Customers' meters. */
export const bucketRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/buckets",
    access: "read",
    tag: "customers' meters",
    summary: "List customers' meters",
    query: z.strictObject({ ...bucketQuery, userId: identifier.optional() }),
    answers: { 200: { description: "Customers' meters.", schema: listOf(bucketShown) } },
    reply: async ({ backend, query: { meterKey: guide, meterType, userId } }) => {
      const buckets = await backend.listBuckets({ guide, meterType, userId });
      return { status: 200, body: { data: buckets.map(showBucket), next: null } };
    },
  }),
  route({
    method: "post",
    path: "/v1/buckets",
    access: "admin",
    tag: "customers' meters",
    summary: "Make a customer's meter of a type",
    query: noQuery,
    body: bucketInput,
    answers: { 201: { description: "The meter.", schema: bucketShown } },
    reply: async ({ backend, caller, body: { meterKey: guide, ...body } }) => {
      const bucket = await backend.createBucket({ draft: { ...body, guide }, author: caller.author });
      return { status: 201, body: showBucket(bucket) };
    },
  }),
  route({
    method: "delete",
    path: "/v1/buckets",
    access: "admin",
    tag: "customers' meters",
    summary: "Delete the meters of a guide or a type; what was billed stays",
    query: z
      .strictObject({ ...bucketQuery, dryRun: flag.optional() })
      .refine((query) => query.meterKey !== undefined || query.meterType !== undefined, {
        message: "expected meterKey or meterType",
      }),
    answers: { 200: { description: "What was deleted, or would be.", schema: purgedShown } },
    reply: async ({ backend, caller, query: { meterKey: guide, meterType, dryRun = false } }) => ({
      status: 200,
      body: await backend.purgeBuckets({ guide, meterType, dryRun, author: caller.author }),
    }),
  }),
  route({
    method: "get",
    path: "/v1/buckets/{id}",
    access: "read",
    tag: "customers' meters",
    summary: "Get a customer's meter with what it has counted in its present period",
    params: byId,
    query: noQuery,
    answers: { 200: { description: "The meter.", schema: standingShown } },
    reply: async ({ backend, params }) => ({ status: 200, body: showStanding(await backend.getBucket(params)) }),
  }),
  route({
    method: "patch",
    path: "/v1/buckets/{id}",
    access: "admin",
    tag: "customers' meters",
    summary: "Say whether a meter goes after its next final record",
    params: byId,
    query: noQuery,
    body: bucketPatch,
    answers: { 200: { description: "The meter.", schema: bucketShown } },
    reply: async ({ backend, caller, params: { id }, body: { deleteOnReset } }) => ({
      status: 200,
      body: showBucket(await backend.updateBucket({ id, deleteOnReset, author: caller.author })),
    }),
  }),
  route({
    method: "delete",
    path: "/v1/buckets/{id}",
    access: "admin",
    tag: "customers' meters",
    summary: "Delete a customer's meter; a period that is over gets its final record first, the present one gets none",
    params: byId,
    query: noQuery,
    answers: { 204: { description: "It is deleted; its records and final records stay." } },
    reply: async ({ backend, caller, params: { id } }) => {
      await backend.deleteBucket({ id, author: caller.author });
      return { status: 204 };
    },
  }),
];
