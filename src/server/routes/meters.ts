import { z } from "zod";

import { limits } from "../../engine/limits.ts";
import type { MeterTemplate } from "../../engine/meters/meter-view.ts";
import { isMeterbookError, MeterbookError } from "../../core/errors.ts";
import { instantInput } from "../contract/instant.ts";
import { count, flag, identifier, listOf, noQuery } from "../contract/listing.ts";
import {
  draftOf,
  effectShown,
  meterInput,
  meterPatch,
  meterShown,
  patchOf,
  showEffect,
  showMeter,
  showTemplate,
  templateShown,
} from "../contract/meter.ts";
import type { Backend } from "../backend.ts";
import { route, type Route } from "../route.ts";
import { byIdOrKey } from "./paths.ts";

const DAY_MS = 86_400_000;

/** Making, changing and looking at meters. */
export const meterRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/meters",
    access: "read",
    tag: "meters",
    summary: "List meters, those of the file included",
    query: z.strictObject({ includeDeleted: flag.optional() }),
    answers: { 200: { description: "All meters.", schema: listOf(meterShown) } },
    reply: async ({ backend, query }) => {
      const meters = await backend.listMeters({ includeDeleted: query.includeDeleted ?? false });
      return { status: 200, body: { data: meters.map(showMeter), next: null } };
    },
  }),
  route({
    method: "post",
    path: "/v1/meters",
    access: "admin",
    tag: "meters",
    summary: "Make a meter; it counts the past events of its type",
    query: z.strictObject({
      dryRun: flag.meta({ description: "Say what it would count, and make nothing." }).optional(),
      mayCorrect: flag
        .meta({
          description:
            "Make it also where closed or reported usage of an ended meter of its key becomes another (409 without); dryRun says of how many windows.",
        })
        .optional(),
    }),
    body: meterInput,
    answers: {
      200: { description: "What it would do (dryRun).", schema: effectShown },
      201: { description: "The meter.", schema: meterShown },
    },
    reply: async ({ backend, caller, query, body }) => {
      const draft = draftOf(body);
      if (query.dryRun === true) return { status: 200, body: showEffect(await backend.previewMeter(draft)) };
      const order = { draft, author: caller.author, mayCorrect: query.mayCorrect ?? false };
      return { status: 201, body: showMeter(await backend.createMeter(order)) };
    },
  }),
  route({
    method: "get",
    path: "/v1/meters/{idOrKey}",
    access: "read",
    tag: "meters",
    summary: "Get a meter",
    params: byIdOrKey,
    query: noQuery,
    answers: { 200: { description: "The meter.", schema: meterShown } },
    reply: async ({ backend, params }) => ({ status: 200, body: showMeter(await backend.getMeter(params)) }),
  }),
  route({
    method: "patch",
    path: "/v1/meters/{idOrKey}",
    access: "admin",
    tag: "meters",
    summary: "Change a meter's description or labels",
    params: byIdOrKey,
    query: noQuery,
    body: meterPatch,
    answers: { 200: { description: "The meter.", schema: meterShown } },
    reply: async ({ backend, caller, params: { idOrKey }, body }) => {
      const order = { idOrKey, patch: patchOf(body), author: caller.author };
      return { status: 200, body: showMeter(await backend.updateMeter(order)) };
    },
  }),
  route({
    method: "delete",
    path: "/v1/meters/{idOrKey}",
    access: "admin",
    tag: "meters",
    summary: "End a meter; its usage stays",
    params: byIdOrKey,
    query: noQuery,
    answers: { 204: { description: "It counts no more." } },
    reply: async ({ backend, caller, params: { idOrKey } }) => {
      await backend.deleteMeter({ idOrKey, author: caller.author });
      return { status: 204 };
    },
  }),
  route({
    method: "get",
    path: "/v1/meters/{idOrKey}/values/{label}",
    access: "read",
    tag: "meters",
    summary: "List the texts of a label",
    params: z.strictObject({ idOrKey: identifier, label: identifier }),
    query: z.strictObject({
      from: instantInput.meta({ description: "24 hours before `to` when absent." }).optional(),
      to: instantInput.meta({ description: "Now when absent." }).optional(),
      limit: count(limits.listPageMax).optional(),
    }),
    answers: { 200: { description: "Its texts, in the order of their code units.", schema: listOf(z.string()) } },
    reply: async ({ backend, params: { idOrKey: meter, label }, query, now }) => {
      const to = query.to ?? now;
      const from = query.from ?? to - DAY_MS;
      const limit = query.limit ?? limits.listPageMax;
      const data = await backend.labelValues({ meter, label, from, to, limit });
      return { status: 200, body: { data, next: null } };
    },
  }),
];

/** Pre-made meters, each with the meter that it makes. */
export function templateRoutes(templates: readonly MeterTemplate[]): readonly Route[] {
  return [
    route({
      method: "get",
      path: "/v1/meter-templates",
      access: "read",
      tag: "meters",
      summary: "List pre-made meters",
      query: z.strictObject({ category: identifier.optional() }),
      answers: { 200: { description: "Templates.", schema: listOf(templateShown) } },
      reply: async ({ query: { category } }) => {
        const found = templates.filter((template) => category === undefined || template.category === category);
        return { status: 200, body: { data: found.map(showTemplate), next: null } };
      },
    }),
    route({
      method: "get",
      path: "/v1/meter-templates/{key}",
      access: "read",
      tag: "meters",
      summary: "Preview the meter of a template",
      params: z.strictObject({ key: identifier }),
      query: noQuery,
      answers: {
        200: {
          description: "The template, and what its meter would count.",
          schema: templateShown.extend({ effect: effectShown.nullable(), isTaken: z.boolean() }),
        },
      },
      reply: async ({ backend, params: { key } }) => {
        const template = templates.find((candidate) => candidate.key === key);
        if (template === undefined) throw new MeterbookError("METER_NOT_FOUND", "There is no such template.");
        const effect = await effectOf(backend, template);
        return { status: 200, body: { ...showTemplate(template), effect, isTaken: effect === null } };
      },
    }),
  ];
}

/** Null where a meter has the template's key already. */
async function effectOf(backend: Backend, { draft }: MeterTemplate): Promise<object | null> {
  try {
    return showEffect(await backend.previewMeter(draft));
  } catch (failure) {
    if (isMeterbookError(failure) && failure.code === "METER_CONFLICT") return null;
    throw failure;
  }
}
