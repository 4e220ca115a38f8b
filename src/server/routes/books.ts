import { z } from "zod";

import {
  assignedShown,
  assignInput,
  correctionShown,
  heldQuery,
  heldShown,
  insteadOf,
  replaceInput,
  resolvedShown,
  resolveInput,
  showCorrection,
  showHeld,
  showResolved,
  showStatus,
  statusShown,
  voidInput,
} from "../contract/books.ts";
import { noQuery, PAGE_SIZE } from "../contract/listing.ts";
import { withoutUndefined } from "../contract/meter.ts";
import { route, type Route } from "../route.ts";
import { byId } from "./paths.ts";

/** The books at a glance, what is held, and what an operator decides about it. */
export const bookRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/status",
    access: "read",
    tag: "books",
    summary: "Look at the whole chain, from events to reports",
    query: noQuery,
    answers: { 200: { description: "The figures.", schema: statusShown } },
    reply: async ({ backend }) => ({ status: 200, body: showStatus(await backend.status({})) }),
  }),
  route({
    method: "get",
    path: "/v1/held",
    access: "read",
    tag: "books",
    summary: "List usage that is kept and not counted, with its reasons",
    query: heldQuery,
    answers: { 200: { description: "Held events, and reports that wait for a person.", schema: heldShown } },
    reply: async ({ backend, query: { limit = PAGE_SIZE } }) => ({
      status: 200,
      body: showHeld(await backend.heldUsage({ limit })),
    }),
  }),
  route({
    method: "post",
    path: "/v1/held/events/{id}/assign",
    access: "admin",
    tag: "books",
    summary: "Say who a held event was for; it counts at its own time",
    params: byId,
    query: noQuery,
    body: assignInput,
    answers: { 200: { description: "Meters that count it now.", schema: assignedShown } },
    reply: async ({ backend, caller, params: { id }, body: { company, source } }) => {
      const order = { id, company, author: caller.author, ...withoutUndefined({ source }) };
      return { status: 200, body: await backend.assignEvent(order) };
    },
  }),
  route({
    method: "post",
    path: "/v1/held/reports/{row}/resolve",
    access: "admin",
    tag: "books",
    summary: "Decide about a report that nobody else can decide about",
    params: z.strictObject({
      row: z
        .string()
        .regex(/^[1-9]\d{0,14}$/, "expected the number of a report")
        .transform(Number),
    }),
    query: noQuery,
    body: resolveInput,
    answers: { 200: { description: "The report, and what became of it.", schema: resolvedShown } },
    reply: async ({ backend, caller, params: { row: rowId }, body: { as, cause, dryRun = false } }) => ({
      status: 200,
      body: showResolved(await backend.resolveReport({ rowId, as, cause, dryRun, author: caller.author })),
    }),
  }),
  route({
    method: "post",
    path: "/v1/events/{id}/void",
    access: "admin",
    tag: "corrections",
    summary: "Void an event: it counts for nothing, and stays",
    params: byId,
    query: noQuery,
    body: voidInput,
    answers: { 200: { description: "What changes.", schema: correctionShown } },
    reply: async ({ backend, caller, params: { id }, body: { cause, source, dryRun = false } }) => {
      const order = { id, source, instead: null, cause, dryRun, author: caller.author };
      return { status: 200, body: showCorrection(await backend.correctEvent(order)) };
    },
  }),
  route({
    method: "post",
    path: "/v1/events/{id}/replace",
    access: "admin",
    tag: "corrections",
    summary: "Put another value in the place of a wrong one",
    params: byId,
    query: noQuery,
    body: replaceInput,
    answers: { 200: { description: "What changes.", schema: correctionShown } },
    reply: async ({ backend, caller, params: { id }, body }) => {
      const { cause, source, dryRun = false } = body;
      const order = { id, source, instead: insteadOf(body), cause, dryRun, author: caller.author };
      return { status: 200, body: showCorrection(await backend.correctEvent(order)) };
    },
  }),
];
