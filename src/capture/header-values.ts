import type { ServerResponse } from "node:http";

import type { KeptHeaders } from "./kept-fields.ts";
import { REDACTED } from "./redaction.ts";

/** One header as events carry it: text, or a list when it had several lines. */
export type HeaderValue = string | readonly string[];

/**
 * Each line of one request header, from the raw list: Node joins repeated lines with a comma, or keeps only the first
 * (https://nodejs.org/api/http.html#messageheaders), and either would bill a guess. `name` is lower case.
 */
export function requestHeader(rawHeaders: readonly string[], name: string): HeaderValue | undefined {
  let found: string | string[] | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const sent = rawHeaders[at];
    if (sent === undefined || sent.length !== name.length || (sent !== name && sent.toLowerCase() !== name)) continue;
    const value = rawHeaders[at + 1] ?? "";
    if (found === undefined) found = value;
    else if (typeof found === "string") found = [found, value];
    else found.push(value);
  }
  return found;
}

/** All request headers, by lower-case name. */
export function requestHeaders(rawHeaders: readonly string[]): Record<string, HeaderValue> {
  const names = new Set<string>();
  for (let at = 0; at < rawHeaders.length; at += 2) names.add((rawHeaders[at] ?? "").toLowerCase());
  const headers = emptyHeaders();
  for (const name of names) headers[name] = requestHeader(rawHeaders, name) ?? "";
  return headers;
}

/** A response header as text: numbers become their digits, lists stay lists. */
export function headerValue(value: unknown): HeaderValue | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  if (typeof value === "number") return value.toString();
  const lines = [value].flat().map(String);
  return Array.isArray(value) ? lines : lines[0];
}

/** What is kept of the request's headers; null when nothing is. */
export function keptRequestHeaders(
  rawHeaders: readonly string[],
  kept: KeptHeaders,
): Record<string, HeaderValue> | null {
  if (kept.isAll) return redacted(requestHeaders(rawHeaders), kept);
  let headers: Record<string, HeaderValue> | null = null;
  for (const name of kept.named) {
    const value = requestHeader(rawHeaders, name);
    if (value !== undefined) (headers ??= emptyHeaders())[name] = value;
  }
  return headers;
}

/**
 * What is kept of the response's headers as they stand now; null when nothing is. `sent` are the headers of a response
 * that has none of its own, `stripped` those that were taken off it.
 */
export function keptResponseHeaders(
  response: ServerResponse,
  kept: KeptHeaders,
  sent: Readonly<Record<string, HeaderValue>> | null,
  stripped: Readonly<Record<string, HeaderValue>> | null,
): Record<string, HeaderValue> | null {
  let headers: Record<string, HeaderValue> | null = null;
  for (const name of kept.isAll ? namesOf(response, sent, stripped) : kept.named) {
    const value = sent === null ? headerValue(response.getHeader(name)) : sent[name];
    const known = value ?? stripped?.[name];
    if (known !== undefined) (headers ??= emptyHeaders())[name] = known;
  }
  return headers !== null && kept.isAll ? redacted(headers, kept) : headers;
}

function namesOf(response: ServerResponse, sent: object | null, stripped: object | null): readonly string[] {
  const names = sent === null ? response.getHeaderNames() : Object.keys(sent);
  return stripped === null ? names : [...names, ...Object.keys(stripped)];
}

/** A trailer belongs to the response's headers and wins over a header of its name: it is what was known last. */
export function withTrailers(
  headers: Record<string, HeaderValue> | null,
  trailers: readonly (readonly [string, HeaderValue])[],
  kept: KeptHeaders,
): Record<string, HeaderValue> | null {
  if (trailers.length === 0) return headers;
  const merged = Object.assign(emptyHeaders(), headers);
  for (const [name, value] of trailers) if (kept.isAll || kept.named.includes(name)) merged[name] = value;
  return Object.keys(merged).length === 0 ? headers : redacted(merged, kept);
}

function redacted(headers: Record<string, HeaderValue>, kept: KeptHeaders): Record<string, HeaderValue> {
  for (const name of Object.keys(headers)) {
    if (kept.redacted.has(name) && !kept.named.includes(name)) headers[name] = REDACTED;
  }
  return headers;
}

/** Trailers as addTrailers takes them: an object, or a list of pairs. */
export function trailerValues(trailers: unknown): [string, HeaderValue][] {
  if (typeof trailers !== "object" || trailers === null) return [];
  const pairs: [unknown, unknown][] = Array.isArray(trailers)
    ? trailers.filter(Array.isArray).map((pair: readonly unknown[]) => [pair[0], pair[1]])
    : Object.entries(trailers);
  return pairs.flatMap(([name, value]) => {
    const isValue = typeof value === "string" || typeof value === "number" || Array.isArray(value);
    const text = isValue ? headerValue(value) : undefined;
    return typeof name === "string" && text !== undefined ? [[name.toLowerCase(), text]] : [];
  });
}

/** Without a prototype: a header named `__proto__` is a header like any other. */
export function emptyHeaders(): Record<string, HeaderValue> {
  const headers: Record<string, HeaderValue> = Object.create(null);
  return headers;
}
