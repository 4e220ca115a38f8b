import type { IncomingMessage } from "node:http";

import type { QueryValues } from "./query-params.ts";

/** What a caller shows to say who it is. */
export type Credentials =
  | { readonly kind: "none" }
  | { readonly kind: "bearer"; readonly text: string }
  /** Two at once, or in a place where none belongs: whoever guesses which one counts can be deceived. */
  | { readonly kind: "unclear"; readonly message: string };

/** Names under which keys are put into addresses elsewhere. Addresses end in logs and histories. */
const QUERY_NAMES = ["api_key", "apikey", "apiKey", "access_token", "token", "key"];

/** Reads the credentials of a request: one `Authorization: Bearer <key>`, or none. */
export function readCredentials(request: IncomingMessage, query: QueryValues | null): Credentials {
  const lines = headerLines(request, "authorization");
  if (lines.length > 1) return { kind: "unclear", message: "There are several Authorization header lines." };
  const [line] = lines;
  const isInQuery = query !== null && QUERY_NAMES.some((name) => looksLikeCredential(query[name]));
  if (isInQuery)
    return {
      kind: "unclear",
      message:
        line === undefined
          ? "Keys are sent in the Authorization header, not in the address."
          : "There is a key in the Authorization header, and another in the address.",
    };
  if (line === undefined) return { kind: "none" };
  const [, text] = /^Bearer +([^\s,]+)$/i.exec(line.trim()) ?? [];
  if (text === undefined) return { kind: "unclear", message: "The Authorization header is not `Bearer <key>`." };
  return { kind: "bearer", text };
}

function looksLikeCredential(value: unknown): boolean {
  const texts: readonly unknown[] = Array.isArray(value) ? value : [value];
  return texts.some((text) => typeof text === "string" && /^mb[tp]?_/.test(text));
}

/** Every line of a header, also of those that Node keeps the first of. */
export function headerLines({ rawHeaders }: IncomingMessage, name: string): readonly string[] {
  const lines: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2)
    if (rawHeaders[at]?.toLowerCase() === name) lines.push(rawHeaders[at + 1] ?? "");
  return lines;
}
