import type { IncomingMessage, ServerResponse } from "node:http";

import type { KeptBody } from "../core/capture-plan.ts";
import { parseExactJson } from "../core/exact-json.ts";
import type { HoldReason, Json } from "../core/event.ts";
import { limits } from "../engine/limits.ts";
import { pickBody } from "./body-pick.ts";
import { hasNoBody, tappedText, type BodyTap } from "./body-tap.ts";
import { bigintText } from "./hooks.ts";
import { isDeeper } from "./json-text.ts";

/** What an event keeps of a body: JSON text, and why there is none although meters read it. */
export interface BodyText {
  readonly json: string | null;
  readonly fault: HoldReason | null;
}

export const NO_BODY: BodyText = { json: null, fault: null };

/** What is wanted of a body: the parts that meters read, and with `capture: "all"` all of it. */
export interface BodyWish {
  readonly kept: KeptBody;
  readonly isWhole: boolean;
  readonly bytesMax: number;
}

/**
 * The request's body: what a body parser made of it, else the bytes that passed by. A parser's numbers are doubles
 * already; tapped bytes keep their digits.
 */
export function requestBodyText(
  request: IncomingMessage & { readonly body?: unknown },
  tap: BodyTap | null,
  wish: BodyWish,
): BodyText {
  const { body } = request;
  // Older body parsers put an empty object where there was nothing that they could parse.
  if (typeof body === "object" && body !== null && !(body instanceof Uint8Array) && !isBareObject(body))
    return parsedText(body, wish);
  if (typeof body === "string") return rawText(body, Buffer.byteLength(body), wish, request.headers["content-type"]);
  if (body instanceof Uint8Array)
    return rawText(Buffer.from(body).toString("utf8"), body.byteLength, wish, request.headers["content-type"]);
  if (tap === null || hasNoBody(request)) return NO_BODY;
  // The answer went out before the body had come in.
  if (!tap.ended && !tap.overflowed) return faulty("body_not_json", wish);
  return tappedBodyText(tap, wish, request.headers["content-type"]);
}

/** The response's body from the chunks that were written. A compressed body is no JSON. */
export function responseBodyText(response: ServerResponse, tap: BodyTap | null, wish: BodyWish): BodyText {
  if (tap === null || (tap.bytes === 0 && !tap.overflowed)) return NO_BODY;
  if (response.req.method === "HEAD" || response.statusCode === 204 || response.statusCode === 304) return NO_BODY;
  return tappedBodyText(tap, wish, String(response.getHeader("content-type") ?? ""));
}

/** Whether a response of this kind is worth its bytes: streams of events and images never become JSON. */
export function mayBeJson(contentType: unknown): boolean {
  return typeof contentType !== "string" || contentType === "" || /json/i.test(contentType);
}

function tappedBodyText(tap: BodyTap, wish: BodyWish, contentType: string | undefined): BodyText {
  if (tap.overflowed) return faulty("body_too_large", wish);
  const text = tappedText(tap);
  return text === null ? faulty("body_not_json", wish) : rawText(text, tap.bytes, wish, contentType);
}

function rawText(text: string, bytes: number, wish: BodyWish, contentType: string | undefined): BodyText {
  if (bytes > wish.bytesMax) return faulty("body_too_large", wish);
  if (text === "") return NO_BODY;
  let parsed: Json;
  try {
    parsed = parseExactJson(text);
  } catch {
    const isText = wish.isWhole && /^(?:text\/|application\/x-www-form-urlencoded)/i.test(contentType ?? "");
    return { json: isText ? JSON.stringify(text) : null, fault: faulty("body_not_json", wish).fault };
  }
  return parsedText(parsed, wish);
}

function parsedText(body: unknown, wish: BodyWish): BodyText {
  if (wish.isWhole) {
    const whole = jsonOf(body, wish.bytesMax);
    if (!isFault(whole)) return { json: whole.json, fault: null };
  }
  const picked = pickBody(body, wish.kept);
  if (picked === undefined) return NO_BODY;
  const text = jsonOf(picked, wish.bytesMax);
  return isFault(text) ? faulty(text, wish) : { json: text.json, fault: null };
}

/** Why there is none: no JSON at all (circles, objects whose toJSON throws), too long, too deep. */
function jsonOf(value: unknown, bytesMax: number): { readonly json: string } | HoldReason {
  let json: string | undefined;
  try {
    json = JSON.stringify(value, bigintText);
  } catch (error) {
    // The stack of JSON.stringify ends some thousand levels down.
    return error instanceof RangeError ? "body_too_deep" : "body_not_json";
  }
  if (json === undefined) return "body_not_json";
  if (json.length > bytesMax) return "body_too_large";
  return isDeeper(json, limits.jsonDepthMax) ? "body_too_deep" : { json };
}

function isFault(text: { readonly json: string } | HoldReason): text is HoldReason {
  return typeof text === "string";
}

/** A body that cannot be read is a fault only where a meter reads it. */
function faulty(reason: HoldReason, wish: BodyWish): BodyText {
  return { json: null, fault: wish.kept.kind === "none" ? null : reason };
}

function isBareObject(body: object): boolean {
  return Object.keys(body).length === 0 && !Array.isArray(body);
}
