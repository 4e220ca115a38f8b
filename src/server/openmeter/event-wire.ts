import { z } from "zod";

import type { Json, UsageEvent } from "../../core/event.ts";
import type { ListedEvent } from "../../engine/intake/accepted.ts";
import { rfc3339 } from "./instant.ts";

/** An event of a list over v1 and v2. */
export const ingestedEvent = z.object({
  event: z.record(z.string(), z.unknown()),
  customerId: z.string().optional(),
  validationError: z.string().optional(),
  ingestedAt: z.iso.datetime(),
  storedAt: z.iso.datetime(),
});
export type IngestedEvent = z.output<typeof ingestedEvent>;

/** A listed event in the words of v1 and v2; all that keeps it from counting is one sentence. */
export function shownEvent(listed: ListedEvent): IngestedEvent {
  const { customer, problems } = listed;
  return {
    event: cloudEvent(listed),
    ...(customer === null ? {} : { customerId: customer }),
    ...(problems.length === 0 ? {} : { validationError: problems.map(({ message }) => message).join("; ") }),
    ingestedAt: rfc3339(ingestedAt(listed)),
    storedAt: rfc3339(listed.storedAt),
  };
}

/** When an event came: what was sent bears its arrival, of others the commit is all that is known. */
export function ingestedAt({ event, storedAt }: ListedEvent): number {
  return event.recordedAt ?? storedAt;
}

/** The CloudEvent of a stored event. Of an exchange that the middleware saw the facts are the payload. */
export function cloudEvent({ event, subject }: ListedEvent): Readonly<Record<string, Json>> {
  const { attributes, id, source, type, time } = event;
  const payload = payloadOf(event);
  return {
    ...attributes,
    id,
    source,
    specversion: "1.0",
    type,
    subject: subject ?? event.company ?? "",
    time: rfc3339(time),
    ...(payload === undefined ? {} : { data: payload }),
  };
}

function payloadOf(event: UsageEvent): Json | undefined {
  if (Object.hasOwn(event, "data")) return event.data;
  const { request, response, metadata, values, durationMs } = event;
  const facts = { request, response, metadata, values, durationMs };
  const stated: Json = JSON.parse(JSON.stringify(facts));
  return JSON.stringify(stated) === "{}" ? undefined : stated;
}
