import {
  SESSION_FINISHER,
  type EntryKind,
  type EntryQuery,
  type EntryRevision,
  type ForgetQuery,
  type Forgotten,
  type RegisterChange,
  type RegisterEntry,
  type RegisterOutcome,
} from "../engine/ports.ts";
import { ownMembers } from "../core/own-member.ts";

interface Kept {
  readonly entry: RegisterEntry;
  readonly history: readonly EntryRevision[];
  /** The register revision of its last change. */
  readonly changed: number;
}

/** The register in maps, by kind and id. */
export class MemoryRegister {
  private kinds = new Map<EntryKind, Map<string, Kept>>();
  private readonly revisions = new Map<EntryKind, number>();

  /** A copy that does not change with this one. */
  copy(): MemoryRegister {
    const copy = new MemoryRegister();
    copy.kinds = copied(this.kinds);
    for (const [kind, revision] of this.revisions) copy.revisions.set(kind, revision);
    return copy;
  }

  get(kind: EntryKind, id: string): RegisterEntry | null {
    return this.kinds.get(kind)?.get(id)?.entry ?? null;
  }

  find(kind: EntryKind, name: string): RegisterEntry | null {
    return this.living(kind).find(({ names }) => names.includes(name)) ?? null;
  }

  page(query: EntryQuery): RegisterEntry[] {
    const { kind, namePrefix, includeDeleted = false, after, changedAfter = 0, limit } = ownMembers(query);
    return [...(this.kinds.get(kind)?.values() ?? [])]
      .filter(({ changed }) => changed > changedAfter)
      .map(({ entry }) => entry)
      .filter(({ deletedAt }) => includeDeleted || deletedAt === null)
      .filter(({ id }) => after === undefined || byCodePoint(id, after) > 0)
      .filter(({ names }) => namePrefix === undefined || names.some((name) => name.startsWith(namePrefix)))
      .toSorted((a, b) => byCodePoint(a.id, b.id))
      .slice(0, limit);
  }

  count(kind: EntryKind): number {
    return this.living(kind).length;
  }

  history(kind: EntryKind, id: string): readonly EntryRevision[] {
    return this.kinds.get(kind)?.get(id)?.history ?? [];
  }

  revision(kind: EntryKind): number {
    return this.revisions.get(kind) ?? 0;
  }

  change(changes: readonly RegisterChange[], now: number): RegisterOutcome {
    const next = copied(this.kinds);
    // Names that one change gives up may be another one's.
    const taken = new Map<string, { readonly kind: EntryKind; readonly id: string }>();
    const isChanged = new Set(changes.map(({ kind, id }) => JSON.stringify([kind, id])));
    for (const kind of new Set(changes.map((change) => change.kind)))
      for (const { id, names } of this.living(kind))
        if (!isChanged.has(JSON.stringify([kind, id])))
          for (const name of names) taken.set(JSON.stringify([kind, name]), { kind, id });
    const entries: RegisterEntry[] = [];
    for (const [at, change] of changes.entries()) {
      const { kind, id, seen, body, author } = change;
      const known = next.get(kind)?.get(id);
      const before = known?.entry ?? null;
      if (seen !== null && (before === null || before.deletedAt !== null)) return { done: false, at, why: "missing" };
      if ((before?.revision ?? null) !== seen) return { done: false, at, why: "stale" };
      const names = body === null ? [] : [...new Set(change.names)];
      // One that is changed twice in a call gives its own names up each time.
      for (const [name, holder] of taken) if (holder.kind === kind && holder.id === id) taken.delete(name);
      for (const name of names) {
        const holder = taken.get(JSON.stringify([kind, name]));
        if (holder !== undefined) return { done: false, at, why: "name_taken", name, holder: holder.id };
        taken.set(JSON.stringify([kind, name]), { kind, id });
      }
      const revision = (before?.revision ?? 0) + 1;
      const entry: RegisterEntry = {
        kind,
        id,
        names,
        body: body ?? before?.body ?? null,
        revision,
        createdAt: before?.createdAt ?? now,
        updatedAt: now,
        deletedAt: body === null ? now : null,
      };
      const ofKind = next.get(kind) ?? new Map<string, Kept>();
      ofKind.set(id, {
        entry,
        history: [...(known?.history ?? []), { revision, at: now, author, body }],
        changed: this.revision(kind) + 1,
      });
      next.set(kind, ofKind);
      entries.push(entry);
    }
    this.kinds = next;
    for (const kind of new Set(changes.map((change) => change.kind))) this.revisions.set(kind, this.revision(kind) + 1);
    return { done: true, entries };
  }

  forgetSessions({ before, after, limit }: ForgetQuery): Forgotten {
    const sessions = this.kinds.get("session") ?? new Map<string, Kept>();
    const behind = [...sessions.values()]
      .filter(({ changed }) => changed > (after ?? 0))
      .toSorted((a, b) => a.changed - b.changed);
    const to = behind.slice(0, limit).at(-1)?.changed ?? 0;
    const old = behind.filter(
      ({ entry: { deletedAt }, history, changed }) =>
        changed <= to && deletedAt !== null && deletedAt < before && history.at(-1)?.author === SESSION_FINISHER,
    );
    for (const { entry } of old) sessions.delete(entry.id);
    return { deleted: old.length, next: behind.length > limit ? to : null };
  }

  private all(kind: EntryKind): readonly RegisterEntry[] {
    return [...(this.kinds.get(kind)?.values() ?? [])].map(({ entry }) => entry);
  }

  private living(kind: EntryKind): readonly RegisterEntry[] {
    return this.all(kind).filter(({ deletedAt }) => deletedAt === null);
  }
}

function copied(kinds: ReadonlyMap<EntryKind, ReadonlyMap<string, Kept>>): Map<EntryKind, Map<string, Kept>> {
  return new Map([...kinds].map(([kind, entries]) => [kind, new Map(entries)]));
}

/** The order of UTF-8 bytes: code units would put what lies behind U+FFFF before U+E000. */
function byCodePoint(a: string, b: string): number {
  for (let at = 0; at < a.length && at < b.length; at++) {
    const [left = 0, right = 0] = [a.codePointAt(at), b.codePointAt(at)];
    if (left !== right) return left - right;
  }
  return a.length - b.length;
}
