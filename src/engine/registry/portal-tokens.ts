import { createHash } from "node:crypto";

import { MeterbookError } from "../../core/errors.ts";
import type { Json } from "../../core/event.ts";
import { limits } from "../limits.ts";
import type { Register, RegisterChange, RegisterEntry } from "../ports.ts";
import { entryId, type RandomBytes } from "./entry-id.ts";

/** A token with which a subject's own page asks for its usage. */
export interface PortalToken {
  readonly id: string;
  /** Whose usage it shows: this subject's alone, whoever pays for it. */
  readonly subject: string;
  /** Keys of the meters that it may see; null = all. */
  readonly meters: readonly string[] | null;
  /** Milliseconds UTC. */
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** A token that was just made, and the only sight of its text: no more than a digest of it is kept. */
export interface CreatedPortalToken extends PortalToken {
  readonly text: string;
}

/** What a caller says of a new token. */
export interface PortalTokenOrder {
  readonly subject: string;
  readonly meters: readonly string[] | null;
  readonly expiresInMs: number;
  readonly author: string;
}

const MARK = "mbp_";
const SHAPE = /^mbp_[\w-]{43}$/;
const SECRET_BYTES = 32;
/** Entries in one reading. */
const PAGE = 1_000;

/** Makes a token of 256 random bits. METER_REQUEST_INVALID, METER_CONFLICT where too many live. */
export async function createPortalToken(
  store: Register,
  { subject, meters, expiresInMs, author }: PortalTokenOrder,
  { now, random }: { readonly now: number; readonly random: RandomBytes },
): Promise<CreatedPortalToken> {
  checkOrder(subject, meters);
  const living = await livingEntries(store);
  const expired = living.filter((entry) => isExpired(entry, now)).slice(0, limits.portalTokensCleared);
  if (living.length - expired.length >= limits.portalTokensMax) {
    throw new MeterbookError("METER_CONFLICT", `${limits.portalTokensMax} portal tokens live already.`, {
      remedy: "Invalidate those that are not used.",
    });
  }
  const text = `${MARK}${Buffer.from(random(SECRET_BYTES)).toString("base64url")}`;
  const [id, expiresAt] = [entryId(now, random), now + expiresInMs];
  const body: Json = { subject, meters, expiresAt };
  const change: RegisterChange = { kind: "portal_token", id, seen: null, names: [digestOf(text)], body, author };
  const outcome = await store.changeEntries([change], now);
  if (!outcome.done) throw new MeterbookError("METER_CONFLICT", "The random source gave a token a second time.");
  // What has expired opens nothing: if clearing fails, the next one does it.
  await store.changeEntries(
    expired.map((entry) => endOf(entry, "expiry")),
    now,
  );
  return { id, subject, meters, createdAt: now, expiresAt, text };
}

/** Tokens that still open something or have just expired, newest first. */
export async function listPortalTokens(
  store: Register,
  { limit }: { readonly limit: number },
): Promise<readonly PortalToken[]> {
  const living = await livingEntries(store);
  return living.slice(-limit).toReversed().map(tokenOf);
}

/** Ends a token by its id, or all of a subject, at once. Ending what is not there changes nothing. */
export async function endPortalTokens(
  store: Register,
  order: { readonly id?: string; readonly subject?: string; readonly author: string },
  now: number,
): Promise<void> {
  const { id, subject, author } = order;
  for (;;) {
    const living = await livingEntries(store);
    const ended = living.filter((entry) => entry.id === id || tokenOf(entry).subject === subject);
    const outcome = await store.changeEntries(
      ended.map((entry) => endOf(entry, author)),
      now,
    );
    // Somebody else ended one meanwhile: what is left is looked up anew.
    if (outcome.done) return;
  }
}

/** The token with this text; null where there is none, or it has ended or expired. */
export async function findPortalToken(
  store: Pick<Register, "findEntry">,
  { text }: { readonly text: string },
  now: number,
): Promise<PortalToken | null> {
  if (!SHAPE.test(text)) return null;
  const entry = await store.findEntry("portal_token", digestOf(text));
  return entry === null || isExpired(entry, now) ? null : tokenOf(entry);
}

/** In the order in which they were made: ids begin with the instant. */
async function livingEntries(store: Pick<Register, "listEntries">): Promise<readonly RegisterEntry[]> {
  const found: RegisterEntry[] = [];
  for (let after: string | undefined; ;) {
    const page = await store.listEntries({
      kind: "portal_token",
      limit: PAGE,
      ...(after === undefined ? {} : { after }),
    });
    found.push(...page);
    after = page.at(-1)?.id;
    if (page.length < PAGE) return found;
  }
}

function tokenOf({ id, body, createdAt }: RegisterEntry): PortalToken {
  const [subject, meters, expiresAt] = ["subject", "meters", "expiresAt"].map((name) => memberOf(body, name));
  return {
    id,
    subject: typeof subject === "string" ? subject : "",
    meters: Array.isArray(meters) ? meters.filter((meter) => typeof meter === "string") : null,
    createdAt,
    expiresAt: typeof expiresAt === "number" ? expiresAt : 0,
  };
}

function memberOf(body: Json, name: string): unknown {
  const isObject = typeof body === "object" && body !== null && !Array.isArray(body);
  return isObject && Object.hasOwn(body, name) ? Object.entries(body).find(([own]) => own === name)?.[1] : undefined;
}

function isExpired(entry: RegisterEntry, now: number): boolean {
  return tokenOf(entry).expiresAt <= now;
}

function endOf({ id, revision }: RegisterEntry, author: string): RegisterChange {
  return { kind: "portal_token", id, seen: revision, names: [], body: null, author };
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function checkOrder(subject: string, meters: readonly string[] | null): void {
  const mistakes = [
    ...(subject === "" ? [{ pointer: "/subject", message: "is empty" }] : []),
    ...(meters !== null && meters.length > limits.portalTokenMetersMax
      ? [{ pointer: "/meters", message: `at most ${limits.portalTokenMetersMax} meters can be named` }]
      : []),
  ];
  if (mistakes.length === 0) return;
  const sentence = mistakes.map(({ pointer, message }) => `${pointer.slice(1)}: ${message}`).join("; ");
  throw new MeterbookError("METER_REQUEST_INVALID", `The token has a mistake: ${sentence}.`, { mistakes });
}
