import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { named, type Change, type Disk, type FileNode, type FolderNode } from "./disk.ts";

const SECTOR_BYTES = 512;

/** What a power cut does to a change that was not synced. */
interface Weather {
  /** A name's change, or a cut of a file: done or not. */
  readonly survives: (begun: number) => boolean;
  /** How many of a sector's new bytes are on the disk: all, none, or some of them (torn). */
  readonly keeps: (begun: number, bytes: number) => number;
  /** Whether a file has its new length although its last bytes are missing. */
  readonly grows: () => boolean;
}

/**
 * Writes what a power cut leaves of a disk into a folder. What was synced is there; of the rest, by chance, either a
 * beginning in the order of the program (as a journalling file system does it), or any part of it.
 */
export function writeImage(disk: Disk, folder: string, random: () => number): void {
  const weather = random() < 0.4 ? inOrder(disk, random) : anyPart(random);
  writeFolder(disk.root, folder, weather);
}

function inOrder(disk: Disk, random: () => number): Weather {
  const begun = pendingOf(disk.root);
  const last = begun[Math.floor(random() * (begun.length + 1))] ?? Number.POSITIVE_INFINITY;
  return {
    survives: (at) => at < last,
    keeps: (at, bytes) => (at < last ? bytes : at === last ? Math.floor(random() * (bytes + 1)) : 0),
    grows: () => random() < 0.5,
  };
}

function anyPart(random: () => number): Weather {
  // Another share each time: nearly nothing, nearly all, and what lies between.
  const share = [0, 0.1, 0.5, 0.9, 1][Math.floor(random() * 5)] ?? 0.5;
  const torn = random() * 0.2;
  return {
    survives: () => random() < share,
    keeps: (_at, bytes) => (random() < torn ? Math.floor(random() * bytes) : random() < share ? bytes : 0),
    grows: () => random() < 0.5,
  };
}

function pendingOf(folder: FolderNode): readonly number[] {
  const nodes = [...folder.synced.values(), ...folder.unsynced.flatMap(({ names }) => names.map(([, node]) => node))];
  const below = [...new Set(nodes)].flatMap((node) => {
    if (node === null) return [];
    return node.kind === "file" ? node.unsynced.map(({ begun }) => begun) : pendingOf(node);
  });
  return [...folder.unsynced.map(({ begun }) => begun), ...below].toSorted((a, b) => a - b);
}

function writeFolder(folder: FolderNode, path: string, weather: Weather): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const survivors = folder.unsynced.filter(({ begun }) => weather.survives(begun));
  for (const [name, node] of named(folder.synced, survivors)) {
    if (node.kind === "folder") writeFolder(node, join(path, name), weather);
    else writeFileSync(join(path, name), leftOf(node, weather), { mode: 0o600 });
  }
}

function leftOf({ synced, unsynced }: FileNode, weather: Weather): Buffer {
  if (unsynced.length === 0) return synced;
  const most = Math.max(synced.length, ...unsynced.map(endOf));
  const bytes = Buffer.alloc(most);
  synced.copy(bytes);
  let { length } = synced;
  for (const change of unsynced) {
    if (change.kind === "cut") {
      if (!weather.survives(change.begun)) continue;
      bytes.fill(0, Math.min(length, change.length));
      ({ length } = change);
    } else length = Math.max(length, writeSectors(bytes, change, weather));
  }
  return bytes.subarray(0, length);
}

/** Puts the sectors that survive; answers the file's length that this gives. */
function writeSectors(bytes: Buffer, change: Extract<Change, { kind: "write" }>, weather: Weather): number {
  const end = endOf(change);
  let reached = 0;
  let at = change.at;
  while (at < end) {
    const next = Math.min(end, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    const kept = weather.keeps(change.begun, next - at);
    change.bytes.copy(bytes, at, at - change.at, at - change.at + kept);
    if (kept > 0) reached = at + kept;
    at = next;
  }
  return reached > 0 && weather.grows() ? end : reached;
}

function endOf(change: Change): number {
  return change.kind === "write" ? change.at + change.bytes.length : change.length;
}
