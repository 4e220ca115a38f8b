import { MeterbookError } from "../../core/errors.ts";
import type { Json } from "../../core/event.ts";
import { limits } from "../limits.ts";
import type { RegisterEntry, Store } from "../ports.ts";
import { newKeyText, readKeyText } from "./key-text.ts";

/** What a key may do; `admin` may everything. */
export type KeyScope = "ingest" | "read" | "admin";

/** What one key may use up; null = what the configuration says for all. */
export interface KeyLimits {
  readonly requestsPerSecond: number | null;
  /** Calls that may come at once after a pause; null = as many as a second allows. */
  readonly burst: number | null;
  /** Bytes of bodies as they are sent, before inflating. */
  readonly bytesPerSecond: number | null;
}

/** A key without its secret. */
export interface ApiKey {
  /** The key's public prefix. */
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly KeyScope[];
  /** Milliseconds UTC; null = for ever. */
  readonly expiresAt: number | null;
  readonly limits: KeyLimits;
  readonly createdAt: number;
  /** Null while it is good. */
  readonly revokedAt: number | null;
  /** Right to limits.keyUsedEveryMs; null = never. */
  readonly lastUsedAt: number | null;
}

/** What a caller says of a new key. */
export interface ApiKeyDraft {
  readonly name: string;
  readonly scopes: readonly KeyScope[];
  readonly expiresAt?: number | null;
  readonly limits?: Partial<KeyLimits>;
}

/** The only time that the key's text is seen: it is not kept. */
export interface CreatedKey {
  readonly key: ApiKey;
  readonly text: string;
}

/** All living keys with their digests (hex), as the HTTP service checks calls by them. */
export interface KeyRing {
  /** Grows with each change; 0 = there never was a key. */
  readonly revision: number;
  readonly keys: readonly (ApiKey & { readonly digest: string })[];
}

/** Makes a key and keeps its digest alone. METER_REQUEST_INVALID for a draft that cannot be. */
export async function createApiKey(
  store: Store,
  order: { readonly draft: ApiKeyDraft; readonly author: string },
  by: { readonly now: number; readonly random: (size: number) => Uint8Array },
): Promise<CreatedKey> {
  const { draft, author } = order;
  checkDraft(draft, by.now);
  if ((await store.countEntries("api_key")) >= limits.apiKeysMax)
    throw new MeterbookError("METER_CONFLICT", `There are ${limits.apiKeysMax} keys already.`, {
      remedy: "Revoke those that are not used.",
    });
  for (let tries = 0; tries < PREFIX_TRIES_MAX; tries += 1) {
    const text = newKeyText(by.random);
    const read = readKeyText(text);
    if (read === null) break;
    const { prefix: id, digest } = read;
    const body = bodyOf(draft, Buffer.from(digest).toString("hex"));
    const change = { kind: "api_key", id, seen: null, names: [id], body, author } as const;
    const outcome = await store.changeEntries([change], by.now);
    const [made] = outcome.done ? outcome.entries : [];
    if (made !== undefined) return { key: keyOf(made, null), text };
  }
  throw new MeterbookError("METER_CONFLICT", "No free prefix was found for the key.", { remedy: "Try again." });
}

/** Prefixes are drawn from 31^8; two equal ones in a row mean a broken random source. */
const PREFIX_TRIES_MAX = 5;

/** Ends a key at once; a second time changes nothing. METER_NOT_FOUND. */
export async function revokeApiKey(
  store: Store,
  order: { readonly id: string; readonly author: string },
  now: number,
): Promise<ApiKey> {
  const { id, author } = order;
  for (;;) {
    const entry = await store.getEntry("api_key", id);
    if (entry === null) throw absent(id);
    if (entry.deletedAt !== null) return keyOf(entry, await lastUsed(store, id));
    const change = { kind: "api_key", id, seen: entry.revision, names: [], body: null, author } as const;
    const outcome = await store.changeEntries([change], now);
    // Somebody else's revocation came first: it is read as one.
    if (outcome.done) return keyOf(outcome.entries[0] ?? entry, await lastUsed(store, id));
  }
}

/** Keys in the order of their prefixes; revoked ones only when asked for. */
export async function listApiKeys(
  store: Store,
  query: { readonly includeRevoked: boolean; readonly after?: string; readonly limit: number },
): Promise<readonly ApiKey[]> {
  const { includeRevoked: includeDeleted, after, limit } = query;
  const page = await store.listEntries({
    kind: "api_key",
    includeDeleted,
    limit,
    ...(after === undefined ? {} : { after }),
  });
  const keys: ApiKey[] = [];
  for (const entry of page) keys.push(keyOf(entry, await lastUsed(store, entry.id)));
  return keys;
}

/** One key, also a revoked one. METER_NOT_FOUND. */
export async function getApiKey(store: Store, query: { readonly id: string }): Promise<ApiKey> {
  const entry = await store.getEntry("api_key", query.id);
  if (entry === null) throw absent(query.id);
  return keyOf(entry, await lastUsed(store, query.id));
}

/** All living keys; null when nothing changed since `known`. */
export async function loadKeyRing(store: Store, query: { readonly known: number | null }): Promise<KeyRing | null> {
  // Read first: what changes while the pages are read is then noticed the next time.
  const revision = await store.registerRevision("api_key");
  if (revision === query.known) return null;
  const keys: KeyRing["keys"][number][] = [];
  for (let after: string | undefined; ;) {
    const page = await store.listEntries({
      kind: "api_key",
      limit: limits.apiKeysPageMax,
      ...(after === undefined ? {} : { after }),
    });
    for (const entry of page) keys.push({ ...keyOf(entry, null), digest: textAt(entry.body, "digest") ?? "" });
    after = page.at(-1)?.id;
    if (page.length < limits.apiKeysPageMax) return { revision, keys };
  }
}

/** Writes down when keys were last used. It is no change of the keys, and leaves no history. */
export async function noteKeysUsed(
  store: Store,
  order: { readonly used: readonly { readonly id: string; readonly at: number }[] },
): Promise<void> {
  for (const { id, at } of order.used.slice(0, limits.apiKeysMax)) await store.putNote(usedNote(id), String(at));
}

const usedNote = (id: string): string => `api_key.used:${id}`;

async function lastUsed(store: Store, id: string): Promise<number | null> {
  const note = await store.getNote(usedNote(id));
  return note === null ? null : Number(note);
}

function checkDraft({ name, scopes, expiresAt, limits: own }: ApiKeyDraft, now: number): void {
  const mistakes: { pointer: string; message: string }[] = [];
  if (name.trim() === "" || name.length > limits.identifierLengthMax)
    mistakes.push({ pointer: "/name", message: `expected 1 to ${limits.identifierLengthMax} characters` });
  if (scopes.length === 0)
    mistakes.push({ pointer: "/scopes", message: "expected at least one of ingest, read, admin" });
  if (typeof expiresAt === "number" && expiresAt <= now)
    mistakes.push({ pointer: "/expiresAt", message: "expected an instant in the future" });
  for (const [member, value] of Object.entries(own ?? {}))
    if (value !== null && !(Number.isSafeInteger(value) && value > 0))
      mistakes.push({ pointer: `/limits/${member}`, message: "expected a whole number of at least 1" });
  if (mistakes.length > 0) throw new MeterbookError("METER_REQUEST_INVALID", "The key cannot be made.", { mistakes });
}

function bodyOf({ name, scopes, expiresAt, limits: own }: ApiKeyDraft, digest: string): Json {
  return {
    name,
    scopes: [...new Set(scopes)],
    expiresAt: expiresAt ?? null,
    requestsPerSecond: own?.requestsPerSecond ?? null,
    burst: own?.burst ?? null,
    bytesPerSecond: own?.bytesPerSecond ?? null,
    digest,
  };
}

function keyOf({ id, body, createdAt, deletedAt }: RegisterEntry, lastUsedAt: number | null): ApiKey {
  const scopes = memberOf(body, "scopes");
  return {
    id,
    name: textAt(body, "name") ?? id,
    scopes: Array.isArray(scopes) ? KEY_SCOPES.filter((scope) => scopes.includes(scope)) : [],
    expiresAt: numberAt(body, "expiresAt"),
    limits: {
      requestsPerSecond: numberAt(body, "requestsPerSecond"),
      burst: numberAt(body, "burst"),
      bytesPerSecond: numberAt(body, "bytesPerSecond"),
    },
    createdAt,
    revokedAt: deletedAt,
    lastUsedAt,
  };
}

const KEY_SCOPES: readonly KeyScope[] = ["ingest", "read", "admin"];

function memberOf(body: Json, name: string): Json | undefined {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return undefined;
  return Object.hasOwn(body, name) ? Reflect.get(body, name) : undefined;
}

function textAt(body: Json, name: string): string | null {
  const value = memberOf(body, name);
  return typeof value === "string" ? value : null;
}

function numberAt(body: Json, name: string): number | null {
  const value = memberOf(body, name);
  return typeof value === "number" ? value : null;
}

function absent(id: string): MeterbookError {
  return new MeterbookError("METER_NOT_FOUND", `There is no key ${JSON.stringify(id)}.`);
}
