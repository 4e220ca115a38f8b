import type { HoldReason } from "../core/event.ts";
import { EXCHANGE_TYPE } from "../core/event.ts";
import type { BodyText } from "./body-text.ts";
import { quote, stringsObject } from "./json-text.ts";
import type { HeaderValue } from "./header-values.ts";

/** The facts of one exchange, each reduced to what is kept, ready to be written. Absent parts are null. */
export interface ExchangeFacts {
  readonly id: string;
  readonly time: number;
  readonly company: string | null;
  readonly user: string | null;
  readonly method: string;
  readonly path: string;
  readonly route: string | null;
  readonly requestHeaders: Readonly<Record<string, HeaderValue>> | null;
  readonly query: Readonly<Record<string, HeaderValue>> | null;
  readonly params: Readonly<Record<string, string>> | null;
  readonly requestBody: BodyText;
  /** Null when the client left before there was one. */
  readonly status: number | null;
  readonly responseHeaders: Readonly<Record<string, HeaderValue>> | null;
  readonly responseBody: BodyText;
  /** JSON text. */
  readonly metadata: string | null;
  readonly values: Readonly<Record<string, string>> | null;
  readonly durationMs: number;
  readonly isAborted: boolean;
  readonly sessionToken: string | null;
  readonly apiVersion: string | null;
  readonly faults: Readonly<Record<string, HoldReason>> | null;
}

/** The event of an exchange as JSON text, written by hand: building and stringifying an object costs several times as much. */
export function eventText(source: string, facts: ExchangeFacts): string {
  let text = `{"source":${quote(source)},"id":${quote(facts.id)},"type":"${EXCHANGE_TYPE}","time":${facts.time}`;
  text += `,"company":${nullable(facts.company)},"user":${nullable(facts.user)}`;
  text += `,"request":${requestText(facts)},"response":${responseText(facts)}`;
  if (facts.metadata !== null) text += `,"metadata":${facts.metadata}`;
  if (facts.values !== null) text += `,"values":${stringsObject(facts.values)}`;
  text += `,"durationMs":${facts.durationMs}`;
  if (facts.isAborted) text += ',"aborted":true';
  if (facts.sessionToken !== null) text += `,"sessionToken":${quote(facts.sessionToken)}`;
  if (facts.apiVersion !== null) text += `,"apiVersion":${quote(facts.apiVersion)}`;
  if (facts.faults !== null) text += `,"faults":${stringsObject(facts.faults)}`;
  return `${text}}`;
}

function requestText(facts: ExchangeFacts): string {
  let text = `{"method":${quote(facts.method)},"path":${quote(facts.path)},"route":${nullable(facts.route)}`;
  if (facts.requestHeaders !== null) text += `,"headers":${stringsObject(facts.requestHeaders)}`;
  if (facts.query !== null) text += `,"query":${stringsObject(facts.query)}`;
  if (facts.params !== null) text += `,"params":${stringsObject(facts.params)}`;
  if (facts.requestBody.json !== null) text += `,"body":${facts.requestBody.json}`;
  return `${text}}`;
}

function responseText(facts: ExchangeFacts): string {
  let text = facts.status === null ? "" : `"status":${facts.status}`;
  if (facts.responseHeaders !== null)
    text += `${text === "" ? "" : ","}"headers":${stringsObject(facts.responseHeaders)}`;
  if (facts.responseBody.json !== null) text += `${text === "" ? "" : ","}"body":${facts.responseBody.json}`;
  return `{${text}}`;
}

function nullable(text: string | null): string {
  return text === null ? "null" : quote(text);
}
