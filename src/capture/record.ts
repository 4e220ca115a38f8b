import type { OpenPart, UsageEvent } from "../core/event.ts";
import { limits } from "../engine/limits.ts";
import { amendWhenAnswered, isAwaited } from "./amendment.ts";
import type { CaptureContext } from "./context.ts";
import { eventText } from "./describe.ts";
import { isCutOff, type Exchange } from "./exchange.ts";
import { factsOf, leastFacts, withoutBulk } from "./exchange-facts.ts";
import { hookRequest, runHooks, type HookAnswers } from "./hooks.ts";
import { NOBODY } from "./identity.ts";
import { stringsArray } from "./json-text.ts";
import { liveExchange } from "./live-exchange.ts";
import { hookFailure } from "./notices.ts";
import { describeValue } from "./options.ts";
import { hearRejection } from "./promise-guard.ts";

/** An event that is ready to be written. */
export interface Entry {
  readonly id: string;
  readonly event: string;
  readonly open: readonly OpenPart[];
  readonly answers: HookAnswers;
  /** Whether the event says that the client has left. */
  readonly isAborted: boolean;
}

/** The journal entry of an exchange that has come to its end; null when it is skipped. Called once for each. */
export function entryOf(context: CaptureContext, exchange: Exchange): Entry | null {
  if (isSkipped(context, exchange)) {
    context.counters.skipped++;
    return null;
  }
  const id = context.nextId();
  if (isCutOff(exchange)) exchange.isAborted = true;
  const answers = runHooks(context.hooks, liveExchange(exchange));
  const open: OpenPart[] = [];
  if (isAwaited(answers)) open.push("identity");
  if (exchange.hasUnsentBytes && !exchange.isAborted) open.push("end");
  return { id, event: boundedText(context, exchange, answers, id), open, answers, isAborted: exchange.isAborted };
}

/** The entry of an exchange whose facts could not be gathered: what is surely known, and held whatever a meter reads. */
export function leastEntry(context: CaptureContext, exchange: Exchange): Entry {
  const id = context.nextId();
  const { isAborted } = exchange;
  return {
    id,
    event: eventText(context.source, leastFacts(context, exchange, id)),
    open: [],
    answers: NO_ANSWERS,
    isAborted,
  };
}

/** The entry as the journal's line. */
export function entryText(entry: Entry): string {
  return `{"kind":"event","event":${entry.event},"open":${entry.open.length === 0 ? "[]" : stringsArray(entry.open)}}`;
}

/** Counts an entry that was written or refused, tells who wants to know, and sees to what is still to come. */
export function afterWriting(context: CaptureContext, exchange: Exchange, entry: Entry, isStored: boolean): void {
  if (!isStored) {
    context.counters.refused++;
    exchange.recordedId = null;
    return;
  }
  exchange.recordedId = entry.id;
  context.counters.recorded++;
  if (entry.isAborted) context.counters.aborted++;
  const { company } = entry.answers;
  if (company.kind === "now") context.notices.attributed(company.value.kind === "known");
  if (isAwaited(entry.answers)) amendWhenAnswered(context, entry.id, entry.answers);
  tell(context, entry);
}

function isSkipped(context: CaptureContext, exchange: Exchange): boolean {
  if (exchange.isSkipped) return true;
  if (context.options.skip === undefined) return false;
  try {
    const answer: unknown = context.options.skip(hookRequest(exchange), exchange.response);
    if (typeof answer === "boolean") return answer;
    // Its failure is told by type already.
    hearRejection(answer);
    // A text is not shown: it may come from the request, and this is logged.
    const received = typeof answer === "string" ? `a text of ${answer.length} characters` : describeValue(answer);
    const detail = `expected true or false, at once; received ${received}`;
    context.hooks.told("skip", hookFailure("skip", detail, undefined, "The event is recorded."));
    return false;
  } catch (error) {
    // Counting what should have been skipped can be corrected; what was not recorded is gone.
    context.fail(error, "skip");
    return false;
  }
}

/** A line that would be too long loses bodies and metadata; meters that read those hold the event. */
function boundedText(context: CaptureContext, exchange: Exchange, answers: HookAnswers, id: string): string {
  const facts = factsOf(context, exchange, answers, id, context.kept);
  const text = maskedText(context, exchange, answers, id, eventText(context.source, facts));
  if (fitsLine(text)) return text;
  const least = factsOf(context, exchange, answers, id, context.leastKept);
  const short = maskedText(context, exchange, answers, id, eventText(context.source, withoutBulk(context, least)));
  if (fitsLine(short)) return short;
  // What meters read is itself too long: an event without it is kept and held, where its line would be refused.
  context.fail(new RangeError(`an event of more than ${limits.lineBytesMax} bytes`), "record", id);
  const known = leastFacts(context, exchange, id);
  return eventText(context.source, { ...known, path: known.path.slice(0, PATH_LENGTH_MAX) });
}

/** Longest path of an event that had to be cut. */
const PATH_LENGTH_MAX = 2_000;

function fitsLine(text: string): boolean {
  // UTF-8 takes at most three bytes for a UTF-16 unit.
  return text.length * 3 <= limits.lineBytesMax || Buffer.byteLength(text) <= limits.lineBytesMax;
}

function maskedText(
  context: CaptureContext,
  exchange: Exchange,
  answers: HookAnswers,
  id: string,
  text: string,
): string {
  if (context.redaction === null) return text;
  try {
    const { event, restored } = context.redaction.redact(parsedEvent(text));
    if (restored.length > 0) {
      const sentence = `maskContent() changes ${restored.join(", ")}, which meters read: the metered value is kept. Leave it alone in maskContent(), or change the meter.`;
      context.notices.tell("METER_MASKED_VALUE", sentence);
    }
    return JSON.stringify(event);
  } catch (error) {
    // What was to be masked must not be written as it is: only what meters need remains.
    context.fail(error, "maskContent", id);
    return eventText(context.source, { ...factsOf(context, exchange, answers, id, context.leastKept), metadata: null });
  }
}

function parsedEvent(text: string): UsageEvent {
  const event: UsageEvent = JSON.parse(text);
  return event;
}

function tell(context: CaptureContext, entry: Entry): void {
  const { options, logger } = context;
  if (options.onEvent === undefined && options.debug !== true) return;
  try {
    const event = parsedEvent(entry.event);
    if (options.debug === true) {
      const { request, response } = event;
      const sentence = `${request?.method} ${request?.path} ${response?.status ?? "aborted"} company=${event.company ?? "-"}`;
      logger?.debug({ id: event.id, durationMs: event.durationMs, faults: event.faults }, sentence);
    }
    hearRejection(options.onEvent?.(event), (error) => context.fail(error, "onEvent", entry.id));
  } catch (error) {
    context.fail(error, "onEvent", entry.id);
  }
}

const NO_ANSWERS: HookAnswers = {
  company: { kind: "now", value: NOBODY },
  user: { kind: "now", value: NOBODY },
  metadata: { kind: "now", value: { kind: "none" } },
  sessionToken: null,
  apiVersion: null,
};
