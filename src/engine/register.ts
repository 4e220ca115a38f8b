import type { Json } from "../core/event.ts";

/** What the register keeps beside events and usage, one kind a purpose. */
export type EntryKind =
  | "customer"
  | "subject"
  | "meter"
  | "api_key"
  | "meter_type"
  | "bucket"
  | "final_record"
  | "guide"
  | "session"
  | "portal_token";

/** One thing that was made over the API, the file or the command line: a customer, a key, a meter's description. */
export interface RegisterEntry {
  readonly kind: EntryKind;
  /** Unique within its kind, for ever: a deleted entry's id is not given out again. Clean text (core/event-rules), as names are. */
  readonly id: string;
  /** Other names by which it is found; each belongs to at most one living entry of its kind. */
  readonly names: readonly string[];
  readonly body: Json;
  /** 1 for a new entry, one more with each change. */
  readonly revision: number;
  /** Milliseconds UTC. */
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Null while it lives. A deleted entry keeps its body and gives up its names. */
  readonly deletedAt: number | null;
}

/** One change of the register: a new entry, another body, or the end of one. */
export interface RegisterChange {
  readonly kind: EntryKind;
  readonly id: string;
  /** The revision that the change was made from; null = there must be no entry of this id. */
  readonly seen: number | null;
  readonly names: readonly string[];
  /** Null = delete. */
  readonly body: Json | null;
  /** Who ordered it: `operator:<name>`, `key:<prefix>`, `file`. Kept in its history. */
  readonly author: string;
}

/** What became of changes: all of them or none. `at` is the place of the first one that cannot be made. */
export type RegisterOutcome =
  | { readonly done: true; readonly entries: readonly RegisterEntry[] }
  | {
      readonly done: false;
      readonly at: number;
      readonly why: "stale" | "name_taken" | "missing";
      /** The name that another entry has, and that entry's id, where a name was taken. */
      readonly name?: string;
      readonly holder?: string;
    };

export interface EntryQuery {
  readonly kind: EntryKind;
  /** Only entries with a name that begins so. */
  readonly namePrefix?: string;
  readonly includeDeleted?: boolean;
  /** Only entries behind this id in the order of ids. */
  readonly after?: string;
  /** Only entries that changed since the kind had this register revision: to bring what was read up to date. */
  readonly changedAfter?: number;
  readonly limit: number;
}

/** One line of an entry's history. */
export interface EntryRevision {
  readonly revision: number;
  readonly at: number;
  readonly author: string;
  readonly body: Json | null;
}

/**
 * The register: small things with a name and a history. Part of every Store, and passes its suite.
 * Every change leaves a line of history in the same transaction.
 */
export interface Register {
  getEntry(kind: EntryKind, id: string): Promise<RegisterEntry | null>;
  /** The living entry with this name. */
  findEntry(kind: EntryKind, name: string): Promise<RegisterEntry | null>;
  /** In the order of ids, code point by code point. */
  listEntries(query: EntryQuery): Promise<readonly RegisterEntry[]>;
  countEntries(kind: EntryKind): Promise<number>;
  /** All changes in one transaction, or none. */
  changeEntries(changes: readonly RegisterChange[], now: number): Promise<RegisterOutcome>;
  entryHistory(kind: EntryKind, id: string): Promise<readonly EntryRevision[]>;
  /** Grows with every change of a kind: what was read before is then out of date. 0 = nothing was ever changed. */
  registerRevision(kind: EntryKind): Promise<number>;
}
