import { MeterbookError } from "../../core/errors.ts";
import { nearName } from "../../core/near-name.ts";
import type { EntryKind, EntryQuery, RegisterChange, RegisterEntry, Store } from "../ports.ts";
import { limits } from "../limits.ts";

/** What a change of meter types, meters and records needs beside what is changed. */
export interface Desk {
  readonly store: Store;
  /** Milliseconds UTC. */
  readonly now: number;
  /** A new id, different each time. */
  readonly newId: () => string;
  /** Who orders it; kept in histories. */
  readonly author: string;
}

/** What an entry holds, as a text to be read by the room that alone writes its kind, and so knows its form. */
export function bodyText({ body }: Pick<RegisterEntry, "body">): string {
  return JSON.stringify(body);
}

/** All entries that a query names, a page at a time, in the order of their ids. */
export async function* entriesOf(
  store: Pick<Store, "listEntries">,
  query: Omit<EntryQuery, "limit">,
): AsyncGenerator<RegisterEntry> {
  let after = query.after;
  for (;;) {
    const page = await store.listEntries({
      ...query,
      ...(after === undefined ? {} : { after }),
      limit: limits.registerPageMax,
    });
    yield* page;
    after = page.at(-1)?.id;
    if (page.length < limits.registerPageMax || after === undefined) return;
  }
}

/** A name made of parts, so that no two lists of parts give one name, and the first parts are where others begin. */
export function partsName(...parts: readonly (string | number)[]): string {
  return JSON.stringify(parts);
}

/** What the names of further parts begin with. */
export function partsPrefix(...parts: readonly (string | number)[]): string {
  return `${JSON.stringify(parts).slice(0, -1)},`;
}

/** Makes changes and answers the entries. METER_CONFLICT when a name is another one's or an entry was changed meanwhile. */
export async function change(
  store: Store,
  changes: readonly RegisterChange[],
  now: number,
  what: string,
): Promise<readonly RegisterEntry[]> {
  const outcome = await store.changeEntries(changes, now);
  if (outcome.done) return outcome.entries;
  if (outcome.why === "name_taken")
    throw new MeterbookError("METER_CONFLICT", `There is such ${what} already, ${outcome.holder ?? ""}.`);
  throw new MeterbookError("METER_CONFLICT", `The ${what} was changed or deleted meanwhile.`, { remedy: "Try again." });
}

/** The living entry with this id, or with this name. METER_NOT_FOUND. */
export async function entryNamed(
  store: Pick<Store, "getEntry" | "findEntry" | "listEntries">,
  kind: EntryKind,
  idOrName: string,
  what: string,
): Promise<RegisterEntry> {
  const byId = await store.getEntry(kind, idOrName);
  const found = byId === null || byId.deletedAt !== null ? await store.findEntry(kind, idOrName) : byId;
  if (found !== null) return found;
  const remedy = isProvisioned(kind) ? await provisionRemedy(store, kind, idOrName) : null;
  throw new MeterbookError(
    "METER_NOT_FOUND",
    `There is no ${what} ${JSON.stringify(idOrName)}.`,
    remedy === null ? {} : { remedy },
  );
}

function isProvisioned(kind: EntryKind): boolean {
  return kind === "guide" || kind === "meter_type";
}

/** What a configuration says counts only once it was provisioned. */
async function provisionRemedy(store: Pick<Store, "listEntries">, kind: EntryKind, sought: string): Promise<string> {
  const known: string[] = [];
  for await (const { names } of entriesOf(store, { kind })) known.push(...names);
  const near = nearName(sought, known);
  const meant = near === null ? "" : `Did you mean "${near}"? `;
  return `${meant}Run \`meterbook provision\` if it is new in the configuration.`;
}
