import { dirname, basename } from "node:path";

/** A change of a file's bytes, and when it was begun and done, in lines of the recording. */
export type Change =
  | {
      readonly kind: "write";
      readonly at: number;
      readonly bytes: Buffer;
      readonly begun: number;
      readonly ended: number;
    }
  | { readonly kind: "cut"; readonly length: number; readonly begun: number; readonly ended: number };

/** A file: what is surely on the disk, what may or may not be, and what the program sees. */
export interface FileNode {
  readonly kind: "file";
  synced: Buffer;
  unsynced: Change[];
  length: number;
}

/** Names that change together: a rename takes one away and gives another. */
export interface Renaming {
  readonly names: readonly (readonly [string, DiskNode | null])[];
  readonly begun: number;
  readonly ended: number;
}

export interface FolderNode {
  readonly kind: "folder";
  synced: Map<string, DiskNode>;
  unsynced: Renaming[];
}

export type DiskNode = FileNode | FolderNode;

export interface Span {
  readonly begun: number;
  readonly ended: number;
}

/** A disk under one folder, by POSIX's word only: nothing is safe before its own fsync, a name not before its folder's. */
export class Disk {
  readonly root: FolderNode = { kind: "folder", synced: new Map(), unsynced: [] };

  /** What the program sees at a path (relative to the root); null = nothing. */
  at(path: string): DiskNode | null {
    if (path === "" || path === ".") return this.root;
    const folder = this.folderOf(path);
    return visible(folder).get(basename(path)) ?? null;
  }

  create(path: string, node: DiskNode, span: Span): void {
    this.folderOf(path).unsynced.push({ names: [[basename(path), node]], ...span });
  }

  remove(path: string, span: Span): void {
    this.folderOf(path).unsynced.push({ names: [[basename(path), null]], ...span });
  }

  rename(from: string, to: string, span: Span): void {
    const node = this.at(from);
    if (node === null || dirname(from) !== dirname(to)) throw new Error(`not modelled: rename ${from} → ${to}`);
    this.folderOf(to).unsynced.push({
      names: [
        [basename(from), null],
        [basename(to), node],
      ],
      ...span,
    });
  }

  private folderOf(path: string): FolderNode {
    const folder = this.at(dirname(path));
    if (folder?.kind !== "folder") throw new Error(`not modelled: no folder ${dirname(path)}`);
    return folder;
  }
}

export function emptyFile(): FileNode {
  return { kind: "file", synced: Buffer.alloc(0), unsynced: [], length: 0 };
}

export function emptyFolder(): FolderNode {
  return { kind: "folder", synced: new Map(), unsynced: [] };
}

export function write(file: FileNode, at: number, bytes: Buffer, span: Span): void {
  file.unsynced.push({ kind: "write", at, bytes, ...span });
  file.length = Math.max(file.length, at + bytes.length);
}

export function cut(file: FileNode, length: number, span: Span): void {
  file.unsynced.push({ kind: "cut", length, ...span });
  file.length = length;
}

/** What was done before the sync began is on the disk when it ends; what came while it ran need not be. */
export function sync(node: DiskNode, { begun }: Span): void {
  if (node.kind === "file") {
    const safe = node.unsynced.filter(({ ended }) => ended < begun);
    if (safe.length === 0) return;
    node.synced = applied(node.synced, safe);
    node.unsynced = node.unsynced.filter(({ ended }) => ended >= begun);
    return;
  }
  node.synced = named(
    node.synced,
    node.unsynced.filter(({ ended }) => ended < begun),
  );
  node.unsynced = node.unsynced.filter(({ ended }) => ended >= begun);
}

/** A file's bytes as the program sees them. */
export function contentOf(file: FileNode): Buffer {
  return applied(file.synced, file.unsynced);
}

/** A folder's names as the program sees them. */
export function visible(folder: FolderNode): ReadonlyMap<string, DiskNode> {
  return named(folder.synced, folder.unsynced);
}

function applied(before: Buffer, changes: readonly Change[]): Buffer {
  const ends = changes.map((change) => (change.kind === "write" ? change.at + change.bytes.length : change.length));
  const bytes = Buffer.alloc(Math.max(before.length, ...ends));
  before.copy(bytes);
  let length = before.length;
  for (const change of changes) {
    if (change.kind === "write") {
      change.bytes.copy(bytes, change.at);
      length = Math.max(length, change.at + change.bytes.length);
    } else {
      bytes.fill(0, Math.min(length, change.length));
      length = change.length;
    }
  }
  return bytes.subarray(0, length);
}

/** The names of a folder after some of its changes, in their order. */
export function named(before: ReadonlyMap<string, DiskNode>, changes: readonly Renaming[]): Map<string, DiskNode> {
  const names = new Map(before);
  for (const change of changes) {
    for (const [name, node] of change.names) {
      if (node === null) names.delete(name);
      else names.set(name, node);
    }
  }
  return names;
}
