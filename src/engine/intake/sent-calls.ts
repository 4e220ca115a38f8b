import { readCloudEvents, type ReadEvent } from "../../core/cloud-event.ts";
import { judgeEvent, type CloudEventBounds } from "../../core/cloud-event-rules.ts";
import { isFault, parseDecimal } from "../../core/decimal.ts";
import type { Json } from "../../core/event.ts";
import { ownMember, ownMembers } from "../../core/own-member.ts";
import { limits } from "../limits.ts";
import type { IngestCall, IngestReply, UsageReport } from "./accepted.ts";

/** A call whose events are read, and not yet attributed, judged or stored; `refused` is its answer already. */
export type SentCall =
  | { readonly kind: "refused"; readonly reply: IngestReply }
  | {
      readonly kind: "read";
      readonly events: readonly ReadEvent[];
      readonly atomic: boolean;
      /** Whether a reply of kind `whole` is wished. */
      readonly brief: boolean;
      /** What stands for the time of events whose sender stated none, milliseconds UTC. */
      readonly receivedAt: number;
    };

/** The source of every event that the simple usage route makes: with it an id is unique among these. */
const USAGE_SOURCE = "meterbook/usage";

/** What one call may bring, as the operator wants it. */
export interface SentBounds {
  /** Bytes of its body after inflating. */
  readonly bodyBytes: number;
  readonly events: number;
  /** Characters of one event. */
  readonly eventLength: number;
}

/** Where nobody said otherwise. */
export const SENT_BOUNDS: SentBounds = {
  bodyBytes: limits.sentBodyBytesMax,
  events: limits.sentEventsMax,
  eventLength: limits.sentEventLengthMax,
};

function cloudEventBounds({ events, eventLength }: SentBounds): CloudEventBounds {
  return {
    eventsMax: events,
    eventLengthMax: eventLength,
    depthMax: limits.jsonDepthMax,
    identifierLengthMax: limits.identifierLengthMax,
  };
}

/** Reads the CloudEvents of a call. */
export function readCall(call: IngestCall, receivedAt: number, bounds: SentBounds = SENT_BOUNDS): SentCall {
  const { body, contentType, headers, atomic } = call;
  if (body.byteLength > bounds.bodyBytes) {
    const message = `A body has at most ${bounds.bodyBytes} bytes, and this one has ${body.byteLength}.`;
    return { kind: "refused", reply: { kind: "refused", why: "too_large", message } };
  }
  const text = decoded(body);
  if (text === null)
    return { kind: "refused", reply: { kind: "refused", why: "not_json", message: "The body is not UTF-8." } };
  const reading = readCloudEvents({ contentType, headers, text }, cloudEventBounds(bounds));
  if (reading.kind === "refused") return { kind: "refused", reply: reading };
  return { kind: "read", events: reading.events, atomic, brief: ownMember(call, "brief") === true, receivedAt };
}

/** The events of reports of the simple usage route: type is the meter, subject the tenant, `data.total_usage` the figure. */
export function readUsage(
  reports: readonly UsageReport[],
  receivedAt: number,
  bounds: SentBounds = SENT_BOUNDS,
): SentCall {
  if (reports.length > bounds.events) {
    const message = `A call takes ${bounds.events} reports, and this one has ${reports.length}.`;
    return { kind: "refused", reply: { kind: "refused", why: "too_many", message } };
  }
  const events = reports.map((report) => readReport(report, bounds));
  return { kind: "read", events, atomic: false, brief: false, receivedAt };
}

/** What its route calls the parts of an event. */
const REPORT_POINTERS: Readonly<Record<string, string>> = Object.assign(Object.create(null), {
  "/type": "/meterId",
  "/subject": "/tenantId",
  "/data": "/metadata",
});

function readReport(report: UsageReport, bounds: SentBounds): ReadEvent {
  const { id, tenantId, deviceId, meterId, total, timestamp, metadata, extra } = ownMembers(report);
  const content: Json = {
    ...extra,
    total_usage: total,
    ...(deviceId === null ? {} : { device_id: deviceId }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
  };
  const attributes = { specversion: "1.0", id, source: USAGE_SOURCE, type: meterId, subject: tenantId };
  const read = judgeEvent(attributes, content, cloudEventBounds(bounds));
  const figure = parseDecimal(total);
  const found = isFault(figure) ? [{ pointer: "/total", message: `the total cannot be counted: ${figure}` }] : [];
  if (timestamp !== null && !(Math.abs(timestamp) <= INSTANT_MAX && Number.isInteger(timestamp)))
    found.push({ pointer: "/timestamp", message: "a timestamp is a whole number of milliseconds since 1970" });
  if (read.kind === "rejected") {
    const renamed = read.problems.map(({ pointer, message }) => {
      return { pointer: REPORT_POINTERS[pointer] ?? pointer, message };
    });
    return { ...read, problems: [...renamed, ...found] };
  }
  if (found.length > 0) return { kind: "rejected", source: USAGE_SOURCE, id, problems: found };
  return { kind: "sent", event: { ...read.event, time: timestamp } };
}

/** The end of the year 9999, as in the texts that are taken for instants. */
const INSTANT_MAX = 253_402_300_799_999;

const strict = new TextDecoder("utf-8", { fatal: true });

function decoded(body: Uint8Array): string | null {
  try {
    return strict.decode(body);
  } catch {
    return null;
  }
}
