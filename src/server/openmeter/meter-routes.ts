import { z } from "zod";

import { limits } from "../../engine/limits.ts";
import type { MeterView } from "../../engine/meters/meter-view.ts";
import { route, type Route } from "../route.ts";
import { byKeyOrId } from "./asked-meter.ts";
import { instant } from "./instant.ts";
import { meterCreate, meterDraft, meterPatch, METER_NAMES, meterShown, meterUpdate, shownMeter } from "./meter-wire.ts";
import { jsonReply, NO_CONTENT } from "./reply.ts";
import { sentFlag, sentInteger } from "./sent-list.ts";
import { inWireWords, refusal } from "./wire-mistakes.ts";

const tag = "OpenMeter: meters";
const params = z.object({ meterIdOrSlug: z.string() });
const found = { description: "The meter.", schema: meterShown };

const listQuery = z.object({
  page: sentInteger(1, 1_000_000).optional(),
  pageSize: sentInteger(1, limits.openmeterPageMax).optional(),
  order: z.enum(["ASC", "DESC"]).optional(),
  orderBy: z.enum(["key", "name", "aggregation", "createdAt", "updatedAt"]).optional(),
  includeDeleted: sentFlag.optional(),
});

const spanQuery = z.object({ from: instant.optional(), to: instant.optional() });

/** Meters over v1. */
export const meterRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/api/v1/meters",
    access: "read",
    tag,
    summary: "List meters",
    query: listQuery,
    answers: { 200: { description: "The meters, as a plain list.", schema: z.array(meterShown) } },
    async reply({ backend, query }) {
      const meters = await backend.listMeters({ includeDeleted: query.includeDeleted ?? false });
      return jsonReply(200, listed(meters, query).map(shownMeter));
    },
  }),
  route({
    method: "post",
    path: "/api/v1/meters",
    access: "admin",
    tag,
    summary: "Create a meter, which counts past events of its type too",
    body: meterCreate,
    answers: { 201: found },
    async reply({ backend, body, caller: { author } }) {
      const draft = meterDraft(body);
      const meter = await inWireWords(METER_NAMES, () => backend.createMeter({ draft, author }));
      return jsonReply(201, shownMeter(meter));
    },
  }),
  route({
    method: "get",
    path: "/api/v1/meters/{meterIdOrSlug}",
    access: "read",
    tag,
    summary: "Get a meter",
    params,
    answers: { 200: found },
    async reply({ backend, params: { meterIdOrSlug } }) {
      return jsonReply(200, shownMeter(await backend.getMeter({ idOrKey: meterIdOrSlug })));
    },
  }),
  route({
    method: "put",
    path: "/api/v1/meters/{meterIdOrSlug}",
    access: "admin",
    tag,
    summary: "Change a meter's name, description, metadata or labels",
    description: "What is left out stays as it is.",
    params,
    body: meterUpdate,
    answers: { 200: found },
    async reply({ backend, params: { meterIdOrSlug }, body, caller: { author } }) {
      const order = { idOrKey: meterIdOrSlug, patch: meterPatch(body), author };
      return jsonReply(200, shownMeter(await inWireWords(METER_NAMES, () => backend.updateMeter(order))));
    },
  }),
  route({
    method: "delete",
    path: "/api/v1/meters/{meterIdOrSlug}",
    access: "admin",
    tag,
    summary: "Delete a meter; what it counted stays readable",
    params,
    answers: { 204: { description: "It is deleted." } },
    async reply({ backend, params: { meterIdOrSlug }, caller: { author } }) {
      await backend.deleteMeter({ idOrKey: meterIdOrSlug, author });
      return NO_CONTENT;
    },
  }),
  route({
    method: "get",
    path: "/api/v1/meters/{meterIdOrSlug}/group-by/{groupByKey}/values",
    access: "read",
    tag,
    summary: "List the texts that a label had",
    description: "Without `from` those of the last 24 hours; at most 30 days, and at most 90 days back.",
    params: params.extend({ groupByKey: z.string() }),
    query: spanQuery,
    answers: { 200: { description: "Each text once.", schema: z.array(z.string()) } },
    async reply({ backend, params: { meterIdOrSlug, groupByKey }, query, now }) {
      const span = labelSpan(query, now);
      const limit = limits.openmeterLabelValuesMax;
      const values = await byKeyOrId(backend, meterIdOrSlug, (meter) =>
        inWireWords({ label: "groupByKey" }, () => backend.labelValues({ meter, label: groupByKey, ...span, limit })),
      );
      return jsonReply(200, values);
    },
  }),
];

/** The span of a question for a label's texts. Throws METER_REQUEST_INVALID where it is too long or too far back. */
export function labelSpan(
  { from, to }: z.output<typeof spanQuery>,
  now: number,
): { readonly from: number; readonly to: number } {
  const end = to ?? Math.max(now, from ?? now) + 1;
  const begin = from ?? end - limits.openmeterLabelSpanMs;
  if (begin >= end) throw refusal([{ pointer: "/to", message: "to lies before from, or at it" }]);
  if (end - begin > limits.openmeterLabelSpanMaxMs + 1)
    throw refusal([{ pointer: "/from", message: "the span is longer than 30 days" }]);
  if (begin < now - limits.openmeterLabelBackMaxMs)
    throw refusal([{ pointer: "/from", message: "from is more than 90 days back" }]);
  return { from: begin, to: end };
}

/** The meters in the order that was asked for, and of them the page where one was. */
export function listed(meters: readonly MeterView[], query: z.output<typeof listQuery>): readonly MeterView[] {
  const { page, pageSize, order = "ASC", orderBy = "createdAt" } = query;
  const member = orderBy === "aggregation" ? "aggregate" : orderBy;
  const sorted = meters.toSorted((one, other) => {
    const [a, b] = [one[member], other[member]];
    return a < b ? -1 : a > b ? 1 : 0;
  });
  const ordered = order === "ASC" ? sorted : sorted.toReversed();
  if (page === undefined && pageSize === undefined) return ordered;
  const size = pageSize ?? 100;
  return ordered.slice(((page ?? 1) - 1) * size, (page ?? 1) * size);
}
