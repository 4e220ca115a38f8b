import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";

/** Places where a request, a response, a hook or the environment can hold a secret that nobody asked to keep. */
export const PLACES = [
  "authorization",
  "basic-password",
  "proxy-authorization",
  "cookie-session",
  "cookie-other",
  "x-api-key",
  "api-key",
  "x-auth-token",
  "x-csrf-token",
  "stripe-signature",
  "x-amz-security-token",
  "x-own-secret",
  "x-forwarded-user",
  "referer-query",
  "user-agent",
  "set-cookie-first",
  "set-cookie-second",
  "www-authenticate",
  "x-response-secret",
  "location-query",
  "response-trailer",
  "request-trailer",
  "query-token",
  "query-nested",
  "query-of-404",
  "query-of-aborted",
  "query-of-absolute-url",
  "user-of-absolute-url",
  "body-password",
  "body-nested",
  "body-list",
  "body-broken-json",
  "body-form",
  "body-too-large",
  "body-text",
  "answer-token",
  "answer-nested",
  "session-token",
  "hook-company",
  "hook-company-promise",
  "hook-user",
  "hook-metadata",
  "hook-skip",
  "hook-answer-too-long",
  "hook-skip-answer",
  "handler-error",
  "stripe-key",
  "stripe-answer",
  "webhook-secret",
  "environment",
] as const;

export type SecretPlace = (typeof PLACES)[number];

/** The secret of a place: 24 letters that stand nowhere else, so that also a part of it is recognised. */
export function secretOf(place: SecretPlace): string {
  const hex = createHash("sha256").update(`canary of ${place}`).digest("hex").slice(0, 24);
  return hex.replace(/\d/g, (digit) => "ghijklmnop"[Number(digit)] ?? "");
}

/** A part of a secret that is too long to be there by chance. */
const PART_LENGTH = 10;

/** Each text in which a secret's part would be readable: as it is, and as Basic authentication and cookies pack it. */
function formsOf(place: SecretPlace): string[] {
  const secret = secretOf(place);
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.from("x".repeat(shift) + secret)
      .toString("base64")
      .slice(4, 16),
  );
  const hex = Buffer.from(secret).toString("hex");
  return [secret.slice(0, PART_LENGTH), secret.slice(-PART_LENGTH), hex, ...base64];
}

/** The places whose secret stands in these bytes, whole, in part or packed. */
export function foundIn(bytes: Buffer | string): SecretPlace[] {
  const text = typeof bytes === "string" ? bytes : bytes.toString("latin1");
  return PLACES.filter((place) => formsOf(place).some((form) => text.includes(form)));
}

/** One file, with what was found in it. */
export interface FileFinding {
  readonly file: string;
  readonly places: readonly SecretPlace[];
}

/** All files below a folder: how many bytes were looked at, and where a secret stands. */
export function searchFolder(folder: string): { readonly files: string[]; readonly findings: FileFinding[] } {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
  const findings = files
    .map((path) => ({ file: relative(folder, path), places: foundIn(readFileSync(path)) }))
    .filter(({ places }) => places.length > 0);
  return { files: files.map((path) => relative(folder, path)), findings };
}
