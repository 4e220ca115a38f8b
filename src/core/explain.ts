import { formatDecimal, fromInteger } from "./decimal.ts";
import type { UsageEvent } from "./event.ts";
import { shown } from "./scalar.ts";
import type { MeteredValue, Verdict } from "./verdict.ts";

/** What a sentence may say beside the verdict. */
export interface SentenceContext {
  /** What happened, put in front: `POST /chat 200`. */
  readonly event?: string;
  /** The meter's unit in the singular: `token`. */
  readonly unit?: string | null;
}

/** A verdict for people: `counted 120 tokens`, `not counted: response.status is 429, wants 200`, `held: identifyCompany() gave nothing`. */
export function explainSentence(verdict: Verdict, context: SentenceContext = {}): string {
  const sentence = sentenceOf(verdict, context.unit ?? null);
  return context.event === undefined ? sentence : `${context.event}: ${sentence}`;
}

/** What happened, in a few words: method, route and status of an exchange, or the action's name. */
export function eventSummary(event: UsageEvent): string {
  const { request, response } = event;
  const place = request?.route ?? request?.path;
  const words = [request?.method, place, response?.status].filter((word) => word !== undefined && word !== null);
  return words.length === 0 ? event.type : words.join(" ");
}

function sentenceOf(verdict: Verdict, unit: string | null): string {
  if (verdict.kind === "counted") return `counted ${amount(verdict.value, unit)}`;
  return verdict.kind === "held" ? `held: ${verdict.detail}` : `not counted: ${verdict.reason}`;
}

function amount(value: MeteredValue, unit: string | null): string {
  if (typeof value === "string") return shown(value);
  const figure = formatDecimal(value);
  if (unit === null) return figure;
  return `${figure} ${value === fromInteger(1) ? unit : plural(unit)}`;
}

// Only plain English words take an s: `GB`, `ms` and `tokens` stay as they are.
function plural(unit: string): string {
  return /^[a-z]{3,}$/.test(unit) && !/[sxz]$/.test(unit) ? `${unit}s` : unit;
}
