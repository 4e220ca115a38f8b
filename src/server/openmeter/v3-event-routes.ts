import { z } from "zod";

import { limits } from "../../engine/limits.ts";
import type { ListedEvent } from "../../engine/intake/accepted.ts";
import { route, type Route } from "../route.ts";
import { fittingEvents } from "./event-pages.ts";
import { ingestRoute } from "./event-routes.ts";
import { cloudEvent, ingestedAt } from "./event-wire.ts";
import { textField, timeField, withoutAbsent } from "./field-filter.ts";
import { rfc3339 } from "./instant.ts";
import { jsonReply } from "./reply.ts";
import { sentInteger } from "./sent-list.ts";
import { PAGE_SIZE, sortOf } from "./v3-pages.ts";
import { refusal } from "./wire-mistakes.ts";

const listQuery = z.object({
  page: z
    .strictObject({ size: sentInteger(1, limits.openmeterEventsMax).optional(), after: z.string().optional() })
    .optional(),
  sort: z.string().optional(),
  filter: z
    .strictObject({
      id: textField.optional(),
      source: textField.optional(),
      subject: textField.optional(),
      type: textField.optional(),
      customer_id: textField.optional(),
      time: timeField.optional(),
      ingested_at: timeField.optional(),
      stored_at: timeField.optional(),
    })
    .optional(),
});

const listedEvent = z.object({
  event: z.record(z.string(), z.unknown()),
  customer: z.object({ id: z.string() }).optional(),
  validation_errors: z.array(z.object({ code: z.string(), message: z.string() })).optional(),
  ingested_at: z.iso.datetime(),
  stored_at: z.iso.datetime(),
});

/** Events over v3, under a base path: what Kong's gateway plugin sends to, and their list. */
export function v3EventRoutes(base: string): readonly Route[] {
  return [ingestRoute(`${base}/events`, 202), listRoute(`${base}/events`)];
}

function listRoute(path: string): Route {
  const meta = z.object({ page: z.object({ size: z.int(), next: z.string().optional() }) });
  return route({
    method: "get",
    path,
    access: "read",
    tag: "OpenMeter v3: events",
    summary: "List events, newest first, page by page",
    query: listQuery,
    answers: {
      200: {
        description: "A page may have fewer rows than asked for; `next` is there while there are more.",
        schema: z.object({ data: z.array(listedEvent), meta }),
      },
    },
    async reply({ backend, query: { page, sort, filter }, request }) {
      if (sort !== undefined && !(sort.trim() === "time" || sortOf(sort, ["time"], "time").descending)) {
        throw refusal([{ pointer: "/sort", message: "events are listed newest first" }]);
      }
      const size = page?.size ?? PAGE_SIZE;
      const conditions = withoutAbsent({
        id: filter?.id,
        source: filter?.source,
        subject: filter?.subject,
        type: filter?.type,
        customer: filter?.customer_id,
        time: filter?.time,
        ingestedAt: filter?.ingested_at,
        storedAt: filter?.stored_at,
      });
      const after = page?.after;
      const asked = { limit: size, ...(after === undefined ? {} : { cursor: after }) };
      const { events, next } = await fittingEvents(backend, conditions, asked);
      const following = next === null ? {} : { next: nextPage(request.url ?? "", next) };
      return jsonReply(200, { data: events.map(shown), meta: { page: { size, ...following } } });
    },
  });
}

/** A reference to the next page, relative to the address that was asked: it works behind any proxy. */
export function nextPage(url: string, cursor: string): string {
  const at = url.indexOf("?");
  const query = new URLSearchParams(at === -1 ? "" : url.slice(at));
  query.set("page[after]", cursor);
  return `?${query.toString()}`;
}

function shown(listed: ListedEvent): z.output<typeof listedEvent> {
  const { customer, problems, storedAt } = listed;
  return {
    event: cloudEvent(listed),
    ...(customer === null ? {} : { customer: { id: customer } }),
    ...(problems.length === 0 ? {} : { validation_errors: problems.map(({ code, message }) => ({ code, message })) }),
    ingested_at: rfc3339(ingestedAt(listed)),
    stored_at: rfc3339(storedAt),
  };
}
