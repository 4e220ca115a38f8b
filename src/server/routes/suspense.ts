import { z } from "zod";

import { HOLD_REASONS } from "../../core/event.ts";
import { identifier, listOf, longText, noQuery, pageQuery, PAGE_SIZE, shortText } from "../contract/listing.ts";
import { showSuspended, suspendedShown } from "../contract/metering.ts";
import { route, type Route } from "../route.ts";
import { byId } from "./paths.ts";

const reason = z.enum(HOLD_REASONS);

const replayInput = z.strictObject({
  source: identifier.optional(),
  set: z
    .record(z.string().min(1).max(256), z.json())
    .meta({ description: "Fields of the record: path → value.", examples: [{ "data.region": "EMEA" }] })
    .optional(),
  cause: longText.min(1).meta({ description: "Why; kept with the record." }),
  dryRun: z.boolean().optional(),
});

/** Records that count nowhere until they are replayed. */
export const suspenseRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/suspense",
    access: "read",
    tag: "records",
    summary: "List suspended records, newest first, with what is wrong",
    query: z.strictObject({ meterKey: identifier.optional(), reason: reason.optional(), ...pageQuery }),
    answers: { 200: { description: "A page of suspended records.", schema: listOf(suspendedShown) } },
    reply: async ({ backend, query: { meterKey = null, reason: wanted, limit = PAGE_SIZE, cursor } }) => {
      const beforeSeq = cursor === undefined || !/^[1-9]\d{0,14}$/.test(cursor) ? undefined : Number(cursor);
      const page = await backend.listSuspended({ guide: meterKey, reason: wanted, limit, beforeSeq });
      const next = page.next === null ? null : String(page.next);
      return { status: 200, body: { data: page.records.map(showSuspended), next } };
    },
  }),
  route({
    method: "get",
    path: "/v1/suspense/counts",
    access: "read",
    tag: "records",
    summary: "Count suspended records by reason",
    query: z.strictObject({ meterKey: identifier.optional() }),
    answers: {
      200: { description: "Most first.", schema: listOf(z.object({ reason, records: z.int() })) },
    },
    reply: async ({ backend, query: { meterKey = null } }) => ({
      status: 200,
      body: { data: await backend.countSuspended({ guide: meterKey }), next: null },
    }),
  }),
  route({
    method: "post",
    path: "/v1/suspense/{id}/replay",
    access: "admin",
    tag: "records",
    summary: "Read a suspended record again, with fields put right; it counts at its own time",
    params: byId,
    query: noQuery,
    body: replayInput,
    answers: {
      200: {
        description: "What became of it.",
        schema: z.object({
          id: z.string().meta({ description: "Of the event that counts instead." }).nullable(),
          problems: z.array(z.string()).meta({ description: "What is still wrong; it is suspended again." }),
          applied: z.boolean(),
          verdicts: z.array(
            z.object({ meter: shortText, before: z.string().nullable(), after: z.string().nullable() }),
          ),
        }),
      },
    },
    reply: async ({ backend, caller, params: { id }, body: { source, set = {}, cause, dryRun = false } }) => {
      const fields = Object.entries(set).map(([path, value]) => ({
        path,
        text: JSON.stringify(value),
      }));
      const order = { id, source, set: fields, cause, dryRun, author: caller.author };
      const { replacement, problems, applied, verdicts } = await backend.replayRecord(order);
      return { status: 200, body: { id: replacement?.id ?? null, problems, applied, verdicts } };
    },
  }),
];
