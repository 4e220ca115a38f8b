import type { Catalog } from "../../core/catalog.ts";
import type { ReadEvent, SentEvent } from "../../core/cloud-event.ts";
import { MeterbookError } from "../../core/errors.ts";
import type { UsageEvent } from "../../core/event.ts";
import { ownMember } from "../../core/own-member.ts";
import { entryOf } from "../ingest/ingest.ts";
import type { IngestEntry, IngestKeep, IngestStatus, Store } from "../ports.ts";
import type { Attribution } from "../registry/customer.ts";
import type { EventResult, IngestCall, IngestReply, UsageReport } from "./accepted.ts";
import { readCall, readUsage, type SentCall } from "./sent-calls.ts";

/**
 * Takes calls of the ingest API: those in a row that are not atomic in one transaction, an atomic one in its own. A reply
 * for each, in order, after the commit. METER_METERS_CHANGED and nothing of that transaction kept when the meters or the
 * customers are newer than the ones given.
 */
export async function acceptEvents(
  store: Store,
  catalog: Catalog,
  attribution: Attribution,
  calls: readonly IngestCall[],
  now: number,
): Promise<readonly IngestReply[]> {
  const read = calls.map((call) => readCall(call, now));
  return acceptCalls(store, catalog, attribution, read, now);
}

/** Takes reports of the simple usage route in one transaction, as acceptEvents takes a call that is not atomic. */
export async function acceptUsage(
  store: Store,
  catalog: Catalog,
  attribution: Attribution,
  reports: readonly UsageReport[],
  now: number,
): Promise<IngestReply> {
  const [reply] = await acceptCalls(store, catalog, attribution, [readUsage(reports, now)], now);
  return reply ?? { kind: "results", results: [], kept: true };
}

/** Takes calls that are read already, as acceptEvents does. */
export async function acceptCalls(
  store: Store,
  catalog: Catalog,
  attribution: Attribution,
  calls: readonly SentCall[],
  now: number,
): Promise<readonly IngestReply[]> {
  const judge = await judgeOf(store, catalog, attribution);
  const replies: IngestReply[] = [];
  let together: JudgedCall[] = [];
  const commit = async (): Promise<void> => {
    const statuses = (
      await keep(
        store,
        catalog,
        together.flatMap(({ events }) => events),
        now,
        "each",
      )
    ).values();
    for (const judged of together) replies.push(replyOf(judged, statuses, true));
    together = [];
  };
  for (const call of calls) {
    if (call.kind === "read" && !call.atomic) together.push(judgedCall(call, judge));
    else {
      await commit();
      replies.push(
        call.kind === "refused" ? call.reply : await acceptWhole(store, catalog, judgedCall(call, judge), now),
      );
    }
  }
  await commit();
  return replies;
}

/** One event of a call on its way into the store; a rejected one ends here. */
type Judged =
  | { readonly kind: "entry"; readonly entry: IngestEntry; readonly unmetered: boolean }
  | Extract<ReadEvent, { kind: "rejected" }>;

/** The events of a call, and whether its reply may be brief. */
interface JudgedCall {
  readonly events: readonly Judged[];
  readonly brief: boolean;
}

function judgedCall({ events, brief, receivedAt }: Extract<SentCall, { kind: "read" }>, judge: Judge): JudgedCall {
  return { events: events.map((read) => judge(read, receivedAt)), brief };
}

type Judge = (read: ReadEvent, receivedAt: number) => Judged;

async function judgeOf(store: Store, catalog: Catalog, attribution: Attribution): Promise<Judge> {
  if ((await store.registerRevision("customer")) !== attribution.revision) {
    throw new MeterbookError("METER_METERS_CHANGED", "The customers were changed meanwhile; nothing was stored.");
  }
  const purgedUntil = await store.purgedUntil();
  return (read, receivedAt) => {
    if (read.kind === "rejected") return read;
    const event = usageEvent(read.event, attribution, receivedAt);
    if (purgedUntil !== null && event.time < purgedUntil) return tooOld(event);
    const entry = entryOf(catalog, event, store.bucketMs);
    return { kind: "entry", entry, unmetered: entry.counts.length + entry.holds.length === 0 };
  };
}

function usageEvent(sent: SentEvent, attribution: Attribution, receivedAt: number): UsageEvent {
  const { source, id, type, subject, time: stated } = sent;
  const data = ownMember(sent, "data");
  const attributes = ownMember(sent, "attributes");
  const time = stated ?? receivedAt;
  return {
    source,
    id,
    type,
    time,
    ...(stated === null ? {} : { recordedAt: receivedAt }),
    company: attribution.companyOf(subject, time),
    user: null,
    subject,
    ...(data === undefined ? {} : { data }),
    ...(attributes === undefined ? {} : { attributes }),
  };
}

function tooOld({ source, id }: UsageEvent): Judged {
  const message =
    "the event is of a time whose events may be deleted already, so nobody can tell whether it was counted before";
  return { kind: "rejected", source, id, problems: [{ pointer: "/time", message }] };
}

/** All of a call, or nothing of it: one event that is rejected or in conflict keeps out the others. */
async function acceptWhole(store: Store, catalog: Catalog, judged: JudgedCall, now: number): Promise<IngestReply> {
  const isWhole = judged.events.every(({ kind }) => kind === "entry");
  const statuses = await keep(store, catalog, judged.events, now, isWhole ? "all" : "none");
  const isKept = isWhole && !statuses.includes("conflict");
  return replyOf(judged, statuses.values(), isKept);
}

async function keep(
  store: Store,
  catalog: Catalog,
  judged: readonly Judged[],
  now: number,
  what: IngestKeep,
): Promise<readonly IngestStatus[]> {
  const entries = judged.flatMap((each) => (each.kind === "entry" ? [each.entry] : []));
  return entries.length === 0 ? [] : store.ingest(entries, now, catalog.revision, what);
}

/** The answer to a call; takes as many statuses as it has entries. */
function replyOf({ events, brief }: JudgedCall, statuses: Iterator<IngestStatus>, kept: boolean): IngestReply {
  const own = events.map((each) => (each.kind === "entry" ? (statuses.next().value ?? "conflict") : null));
  if (brief && kept && own.every((status) => status === "stored" || status === "duplicate")) {
    const stored = own.filter((status) => status === "stored").length;
    return { kind: "whole", stored, duplicates: own.length - stored };
  }
  const results = events.map((each, index): EventResult => {
    if (each.kind === "rejected") {
      const { source, id, problems } = each;
      return { status: "rejected", index, source, id, problems };
    }
    const { event, holds } = each.entry;
    const status = own[index] ?? "conflict";
    const isOurs = status === "stored" || status === "duplicate";
    const held = isOurs ? holds.map(({ meter, reason, detail }) => ({ meter, reason, detail })) : [];
    return { status, index, source: event.source, id: event.id, held, unmetered: each.unmetered };
  });
  return { kind: "results", results, kept };
}
