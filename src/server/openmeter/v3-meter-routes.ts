import { z } from "zod";

import type { MeterView } from "../../engine/meters/meter-view.ts";
import { route, type Route } from "../route.ts";
import { byKeyOrId } from "./asked-meter.ts";
import { everyCustomer } from "./customer-list.ts";
import { textField } from "./field-filter.ts";
import { jsonReply, NO_CONTENT, prefers } from "./reply.ts";
import { matchesText } from "./text-condition.ts";
import {
  v3MeterCreate,
  v3MeterDraft,
  v3MeterPatch,
  V3_METER_NAMES,
  v3MeterShown,
  v3MeterUpdate,
  v3ShownMeter,
} from "./v3-meter-wire.ts";
import { PAGE_SIZE, pageAsked, pageBody, pageSchema, sortOf } from "./v3-pages.ts";
import { V3_QUERY_NAMES, v3Answer, v3Csv, v3Query, v3Question } from "./v3-query-wire.ts";
import { CUSTOMER_LABEL } from "./query-wire.ts";
import { inWireWords } from "./wire-mistakes.ts";

const tag = "OpenMeter v3: meters";
const params = z.object({ meterId: z.string() });
const found = { description: "The meter.", schema: v3MeterShown };

const listQuery = z.object({
  page: pageAsked.optional(),
  sort: z.string().optional(),
  filter: z.object({ key: textField.optional(), name: textField.optional() }).optional(),
});

/** Meters over v3, under a base path. */
export function v3MeterRoutes(base: string): readonly Route[] {
  return [listRoute(base), createRoute(base), getRoute(base), changeRoute(base), deleteRoute(base), queryRoute(base)];
}

function listRoute(base: string): Route {
  return route({
    method: "get",
    path: `${base}/meters`,
    access: "read",
    tag,
    summary: "List meters, page by page",
    query: listQuery,
    answers: { 200: { description: "One page.", schema: pageSchema(v3MeterShown) } },
    async reply({ backend, query: { page, sort, filter } }) {
      const meters = await backend.listMeters({ includeDeleted: false });
      const fitting = meters.filter(
        ({ key, name }) => matchesText(filter?.key, key) && matchesText(filter?.name, name),
      );
      const [size, number] = [page?.size ?? PAGE_SIZE, page?.number ?? 1];
      const rows = sorted(fitting, sort).slice((number - 1) * size, number * size);
      return jsonReply(200, pageBody(rows.map(v3ShownMeter), number, size, fitting.length));
    },
  });
}

function createRoute(base: string): Route {
  return route({
    method: "post",
    path: `${base}/meters`,
    access: "admin",
    tag,
    summary: "Create a meter, which counts past events of its type too",
    body: v3MeterCreate,
    answers: { 201: found },
    async reply({ backend, body, caller: { author } }) {
      const draft = v3MeterDraft(body);
      const meter = await inWireWords(V3_METER_NAMES, () => backend.createMeter({ draft, author }));
      return jsonReply(201, v3ShownMeter(meter));
    },
  });
}

function getRoute(base: string): Route {
  return route({
    method: "get",
    path: `${base}/meters/{meterId}`,
    access: "read",
    tag,
    summary: "Get a meter by its id or key",
    params,
    answers: { 200: found },
    async reply({ backend, params: { meterId } }) {
      return jsonReply(200, v3ShownMeter(await backend.getMeter({ idOrKey: meterId })));
    },
  });
}

function changeRoute(base: string): Route {
  return route({
    method: "put",
    path: `${base}/meters/{meterId}`,
    access: "admin",
    tag,
    summary: "Change a meter's name, description, labels or dimensions",
    description: "What is left out stays as it is.",
    params,
    body: v3MeterUpdate,
    answers: { 200: found },
    async reply({ backend, params: { meterId }, body, caller: { author } }) {
      const order = { idOrKey: meterId, patch: v3MeterPatch(body), author };
      return jsonReply(200, v3ShownMeter(await inWireWords(V3_METER_NAMES, () => backend.updateMeter(order))));
    },
  });
}

function deleteRoute(base: string): Route {
  return route({
    method: "delete",
    path: `${base}/meters/{meterId}`,
    access: "admin",
    tag,
    summary: "Delete a meter; what it counted stays readable",
    params,
    answers: { 204: { description: "It is deleted." } },
    async reply({ backend, params: { meterId }, caller: { author } }) {
      await backend.deleteMeter({ idOrKey: meterId, author });
      return NO_CONTENT;
    },
  });
}

function queryRoute(base: string): Route {
  return route({
    method: "post",
    path: `${base}/meters/{meterId}/query`,
    access: "read",
    tag,
    summary: "Query a meter's usage",
    params,
    body: v3Query,
    answers: {
      200: { description: "The usage.", schema: z.unknown(), contentTypes: ["application/json", "text/csv"] },
    },
    async reply({ backend, params: { meterId }, body, request }) {
      const question = v3Question(meterId, body);
      const answer = await byKeyOrId(backend, meterId, (meter) =>
        inWireWords(V3_QUERY_NAMES, () => backend.queryMeter({ ...question, meter })),
      );
      if (!prefers(request.headers.accept, "text/csv")) return jsonReply(200, v3Answer(body, answer));
      const byCustomer = body.group_by_dimensions?.includes(CUSTOMER_LABEL) === true;
      const known = byCustomer ? await everyCustomer(backend, true) : [];
      const customers = new Map(known.map((customer) => [customer.id, customer] as const));
      return { status: 200, body: v3Csv(body, answer, customers), contentType: "text/csv" };
    },
  });
}

function sorted(meters: readonly MeterView[], sort: string | undefined): readonly MeterView[] {
  const names = ["key", "name", "aggregation", "created_at", "updated_at"] as const;
  const members = {
    key: "key",
    name: "name",
    aggregation: "aggregate",
    created_at: "createdAt",
    updated_at: "updatedAt",
  } as const;
  const { by, descending } = sortOf(sort, names, "created_at");
  const ascending = meters.toSorted((one, other) => {
    const [a, b] = [one[members[by]], other[members[by]]];
    return a < b ? -1 : a > b ? 1 : 0;
  });
  return descending ? ascending.toReversed() : ascending;
}
