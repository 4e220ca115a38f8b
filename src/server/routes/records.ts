import { z } from "zod";

import { RECORD_KINDS, SINK_STATES } from "../../engine/periods/final-records.ts";
import { identifier, listOf, noQuery, pageQuery, PAGE_SIZE } from "../contract/listing.ts";
import { finalRecordShown, recordsInput, recordsShown } from "../contract/metering.ts";
import { route, type Route } from "../route.ts";
import { byId } from "./paths.ts";

/** Records of streams in, final records out. */
export const recordRoutes: readonly Route[] = [
  route({
    method: "post",
    path: "/v1/records/{guide}",
    access: "ingest",
    tag: "records",
    summary: "Take records of a stream; each is counted, or suspended with its reason",
    description: "Answered after the commit. A record that comes again counts once where the guide says by what.",
    params: z.strictObject({ guide: identifier.meta({ description: "The guide (meter key)." }) }),
    query: noQuery,
    body: recordsInput,
    answers: { 200: { description: "What became of each record.", schema: recordsShown } },
    reply: async ({ backend, caller, params: { guide }, body: { records } }) => ({
      status: 200,
      body: await backend.takeRecords({ guide, records, author: caller.author }),
    }),
  }),
  route({
    method: "get",
    path: "/v1/final-records",
    access: "read",
    tag: "records",
    summary: "List final records, early ones of thresholds, and corrections, oldest period first",
    query: z.strictObject({
      meterKey: identifier.optional(),
      userId: identifier.optional(),
      meterId: identifier.optional(),
      kind: z.enum(RECORD_KINDS).optional(),
      state: z.enum(SINK_STATES).meta({ description: "Only records of which some sink's state is this." }).optional(),
      ...pageQuery,
    }),
    answers: { 200: { description: "A page of records.", schema: listOf(finalRecordShown) } },
    reply: async ({ backend, query: { meterKey: guide, limit = PAGE_SIZE, cursor: after, ...query } }) => {
      const page = await backend.listFinalRecords({ ...query, guide, limit, after });
      return { status: 200, body: { data: page.records, next: page.next } };
    },
  }),
  route({
    method: "post",
    path: "/v1/final-records/{id}/requeue",
    access: "admin",
    tag: "records",
    summary: "Hand a record over again that a sink refused, or did not take for days",
    params: byId,
    query: noQuery,
    body: z.strictObject({
      sink: identifier.meta({ description: "Every sink that failed it when absent." }).optional(),
    }),
    answers: {
      200: {
        description: "It is on its way again, from the next round on.",
        schema: z.object({ id: z.string(), sinks: z.array(z.string()) }),
      },
    },
    reply: async ({ backend, caller, params: { id }, body: { sink } }) => {
      const [requeued] = await backend.requeueRecords({ id, sink, author: caller.author });
      return { status: 200, body: requeued ?? { id, sinks: [] } };
    },
  }),
];
