import type { Json } from "../../core/event.ts";
import type { MeterDefinition } from "../../core/meter.ts";
import { limits } from "../limits.ts";
import type { RegisterChange, RegisterEntry, Store, StoreView } from "../ports.ts";
import { membersOf, objectAt, textAt, type JsonObject } from "../registry/entry-body.ts";
import { entryId } from "../registry/entry-id.ts";
import { changedMeanwhile } from "../registry/refusals.ts";
import type { RegistryTools } from "../registry/registry-tools.ts";

/** What is written beside a meter of the API. */
export interface MeterNotes {
  readonly key: string;
  readonly description: string | null;
  readonly metadata: JsonObject;
}

/** What a meter's register entry says. */
export function notesOf({ body }: RegisterEntry): MeterNotes {
  const members = membersOf(body);
  const key = textAt(members, "key") ?? "";
  return { key, description: textAt(members, "description"), metadata: objectAt(members, "metadata") };
}

/** All entries of meters, deleted ones included, in the order in which they were made. */
export async function meterEntries(store: Pick<StoreView, "listEntries">): Promise<readonly RegisterEntry[]> {
  const entries: RegisterEntry[] = [];
  for (let after: string | undefined; ;) {
    const limit = limits.registerPageMax;
    const query = { kind: "meter", includeDeleted: true, limit } as const;
    const page = await store.listEntries({ ...query, ...(after === undefined ? {} : { after }) });
    entries.push(...page);
    after = page.at(-1)?.id;
    if (page.length < limit) return entries;
  }
}

/** Writes the entry of a new meter. One of its key that is left from a meter that has ended makes way for it. */
export async function writeNewNotes(
  { store, clock, random }: RegistryTools,
  notes: MeterNotes,
  definition: MeterDefinition,
  author: string,
): Promise<RegisterEntry> {
  const now = clock.now();
  const change = changeOf(entryId(now, random), null, notes, definition, author);
  for (let tries = 0; tries < limits.registerTriesMax; tries++) {
    const left = await store.findEntry("meter", notes.key);
    const changes = left === null ? [change] : [change, endOf(left, author)];
    const outcome = await store.changeEntries(changes, now);
    const entry = outcome.done ? outcome.entries[0] : undefined;
    if (entry !== undefined) return entry;
  }
  throw changedMeanwhile("meter");
}

/** Changes what is written beside a meter. */
export async function changeNotes(
  tools: RegistryTools,
  notesAfter: (before: MeterNotes | null) => MeterNotes,
  definition: MeterDefinition,
  author: string,
): Promise<RegisterEntry> {
  const { store, clock, random } = tools;
  for (let tries = 0; tries < limits.registerTriesMax; tries++) {
    const now = clock.now();
    const entry = await store.findEntry("meter", definition.key);
    const notes = notesAfter(entry === null ? null : notesOf(entry));
    const id = entry?.id ?? entryId(now, random);
    const change = changeOf(id, entry?.revision ?? null, notes, definition, author);
    const outcome = await store.changeEntries([change], now);
    const [changed] = outcome.done ? outcome.entries : [];
    if (changed !== undefined) return changed;
  }
  throw changedMeanwhile("meter");
}

/** Ends the entry of a meter; nothing to do where it has none. */
export async function endNotes(
  { store, clock }: { readonly store: Store; readonly clock: RegistryTools["clock"] },
  key: string,
  author: string,
): Promise<void> {
  for (let tries = 0; tries < limits.registerTriesMax; tries++) {
    const entry = await store.findEntry("meter", key);
    if (entry === null || (await store.changeEntries([endOf(entry, author)], clock.now())).done) return;
  }
  throw changedMeanwhile("meter");
}

// With the definition of the time, so that the history alone says what the meter was.
function changeOf(
  id: string,
  seen: number | null,
  { key, description, metadata }: MeterNotes,
  definition: MeterDefinition,
  author: string,
): RegisterChange {
  const written: Json = JSON.parse(JSON.stringify(definition));
  return { kind: "meter", id, seen, names: [key], body: { key, description, metadata, definition: written }, author };
}

function endOf({ id, revision }: RegisterEntry, author: string): RegisterChange {
  return { kind: "meter", id, seen: revision, names: [], body: null, author };
}
