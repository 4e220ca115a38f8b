import { checkIdentifier } from "../core/event-rules.ts";
import { formatDecimal, isFault, readDecimal } from "../core/decimal.ts";
import { MeterbookError } from "../core/errors.ts";
import { limits } from "../engine/limits.ts";
import type { CaptureContext } from "./context.ts";
import { bigintText } from "./hooks.ts";
import { identifierText } from "./identity.ts";
import { isDeeper, quote, stringsObject } from "./json-text.ts";
import { describeValue } from "./options.ts";

/** What track() may be told besides the action. */
export interface TrackDetails {
  /** Who pays. Without it the event is kept and held. */
  readonly companyId?: string | number | bigint | null;
  readonly userId?: string | number | bigint | null;
  /** Anything JSON; meters read it as `metadata.…`. */
  readonly metadata?: unknown;
  /** The event's own id: the same id tracked again is the same event, counted once. Made here when it is left out. */
  readonly id?: string;
  /** When it happened, if not now: a Date, or milliseconds since 1970 UTC. */
  readonly time?: Date | number;
  /** Numbers, bigints or decimal texts; meters read them as `values.<name>`. */
  readonly values?: Readonly<Record<string, number | bigint | string>>;
}

/** The source of every tracked event. */
const TRACK_SOURCE = "meterbook/track";

const DETAILS = ["companyId", "userId", "metadata", "id", "time", "values"];

/** Records work that is no request; its line is written when this returns. Throws METER_TRACK_INVALID, and METER_BACKLOG_FULL when it is refused. */
export function track(context: CaptureContext, action: string, details: TrackDetails = {}): string {
  const type = actionType(action);
  if (typeof details !== "object" || details === null)
    throw invalid(`expected an object of details; received ${describeValue(details)}`);
  const unknown = Object.keys(details).find((name) => !DETAILS.includes(name));
  if (unknown !== undefined)
    throw invalid(`there is no detail ${JSON.stringify(unknown)}; known are ${DETAILS.join(", ")}`);
  const now = context.clock.now();
  const id = identifier("id", details.id) ?? context.nextId();
  const company = identifier("companyId", details.companyId);
  let text = `{"source":"${TRACK_SOURCE}","id":${quote(id)},"type":${quote(type)},"time":${timeOf(details.time) ?? now}`;
  if (details.time !== undefined) text += `,"recordedAt":${now}`;
  text += `,"company":${nullable(company)},"user":${nullable(identifier("userId", details.userId))}`;
  const metadata = metadataText(details.metadata);
  if (metadata !== null) text += `,"metadata":${metadata}`;
  if (details.values !== undefined) text += `,"values":${stringsObject(valueTexts(details.values))}`;
  if (!context.recorder.append(`{"kind":"event","event":${text}},"open":[]}`)) {
    context.counters.refused++;
    throw new MeterbookError(
      "METER_BACKLOG_FULL",
      `track(${JSON.stringify(type)}): the event was refused and is not recorded.`,
      {
        remedy: "Try again with the same id later; `meterbook status` and the log tell why nothing is taken.",
      },
    );
  }
  context.counters.recorded++;
  context.counters.tracked++;
  context.notices.attributed(company !== null);
  return id;
}

function actionType(action: unknown): string {
  if (typeof action !== "string" || checkIdentifier(action, limits.identifierLengthMax) !== null) {
    throw invalid(`expected the action's name; received ${describeValue(action)}`);
  }
  if (action.startsWith("http."))
    throw invalid(`${JSON.stringify(action)}: names that begin with "http." are the middleware's own`);
  return action;
}

function identifier(name: string, value: unknown): string | null {
  if (value === undefined || value === null) return null;
  const text = identifierText(value);
  if (text === null) throw invalid(`${name}: expected a text or a whole number; received ${describeValue(value)}`);
  if (checkIdentifier(text, limits.identifierLengthMax) === null) return text;
  throw invalid(
    `${name}: expected 1 to ${limits.identifierLengthMax} characters without control characters; received ${describeValue(value)}`,
  );
}

function timeOf(time: unknown): number | null {
  if (time === undefined) return null;
  const milliseconds = time instanceof Date ? time.getTime() : time;
  if (typeof milliseconds === "number" && Number.isSafeInteger(milliseconds) && milliseconds >= 0) return milliseconds;
  throw invalid(
    `time: expected a Date, or milliseconds since 1970; received ${time instanceof Date ? "an invalid Date" : describeValue(time)}`,
  );
}

function metadataText(metadata: unknown): string | null {
  if (metadata === undefined || metadata === null) return null;
  let json: string | undefined;
  try {
    json = JSON.stringify(metadata, bigintText);
  } catch (cause) {
    throw invalid("metadata: it has no JSON", cause);
  }
  if (json === undefined) throw invalid(`metadata: expected JSON; received ${describeValue(metadata)}`);
  if (json.length > limits.bodyBytesMax) throw invalid(`metadata: more than ${limits.bodyBytesMax} characters of JSON`);
  if (isDeeper(json, limits.jsonDepthMax))
    throw invalid(`metadata: more than ${limits.jsonDepthMax} lists and objects within one another`);
  return json;
}

function valueTexts(values: unknown): Record<string, string> {
  if (typeof values !== "object" || values === null || Array.isArray(values))
    throw invalid(`values: expected an object of numbers; received ${describeValue(values)}`);
  const entries = Object.entries(values);
  if (entries.length > limits.addedValuesMax) throw invalid(`values: more than ${limits.addedValuesMax} names`);
  const texts: Record<string, string> = Object.create(null);
  for (const [name, value] of entries) {
    const read = ["number", "bigint", "string"].includes(typeof value) ? readDecimal(value) : "not_a_number";
    if (isFault(read))
      throw invalid(
        `values.${name}: expected a number, a bigint or a decimal text; received ${describeValue(value)} (${read})`,
      );
    texts[name] = formatDecimal(read);
  }
  return texts;
}

function nullable(text: string | null): string {
  return text === null ? "null" : quote(text);
}

function invalid(sentence: string, cause?: unknown): MeterbookError {
  return new MeterbookError("METER_TRACK_INVALID", `track(): ${sentence}.`, cause === undefined ? {} : { cause });
}
