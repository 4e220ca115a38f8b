import {
  closeSync,
  fdatasyncSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { segmentHeader, segmentName, segmentNumber } from "./segment-file.ts";
import { lifeOf, syncNames, type Life } from "./writer-folder.ts";

/** A segment as one reader knows it. */
export interface Segment {
  readonly writer: WriterSegments;
  readonly number: number;
  path: string;
  /** When this reader first saw it under its adopted name; null while its writer may own it. */
  adoptedAt: number | null;
  /** True once nothing more can be written into it. */
  final: boolean;
  /** Behind the last line that was read, and that was committed. */
  offset: number;
  committed: number;
  /** A line that did not check while its writer was at work on the file: it is looked at twice. */
  doubtAt: number | null;
  /** Holds bytes that could not be kept elsewhere: not to be deleted. */
  pinned: boolean;
  /** Lines in it that are part of events which are still open. */
  openEvents: number;
  /** Offsets of events that were given out before all their parts were known. */
  readonly parted: Set<number>;
}

/** One writer's folder as one reader knows it. */
export class WriterSegments {
  readonly name: string;
  readonly folder: string;
  life: Life = "living";
  readonly #segments = new Map<number, Segment>();

  constructor(root: string, name: string) {
    this.name = name;
    this.folder = join(root, name);
  }

  /** Oldest first. */
  get segments(): readonly Segment[] {
    return [...this.#segments.values()];
  }

  /** True when nobody writes here any more, so that what is not there will never come. */
  get ended(): boolean {
    return this.life === "closed" || this.life === "gone";
  }

  /**
   * Looks at the folder: first whether the writer lives, then what stands there, so that a reading after it is complete.
   * Answers the segments that are no longer there. Throws what the file system throws.
   */
  refresh(now: number, silenceMs: number, own: boolean): readonly Segment[] {
    if (!this.ended) {
      const life = lifeOf(this.folder, now, silenceMs);
      this.life = own && life !== "closed" ? "living" : life;
    }
    const names = readdirSync(this.folder);
    const found = names.flatMap((name) => segmentNumber(name) ?? []).toSorted((a, b) => a.number - b.number);
    const last = found.at(-1)?.number ?? 0;
    for (const { number, adopted } of found) {
      const segment = this.#segments.get(number) ?? this.#meet(number, names);
      segment.path = join(this.folder, segmentName(number, adopted ? "adopted" : "journal"));
      if (adopted) segment.adoptedAt ??= now;
      const abandoned = segment.adoptedAt !== null && now - segment.adoptedAt >= silenceMs;
      segment.final = number < last || this.ended || abandoned;
    }
    const standing = new Set(found.map(({ number }) => number));
    const lost = this.segments.filter(({ number }) => !standing.has(number));
    for (const { number } of lost) this.#segments.delete(number);
    return lost;
  }

  /** Renames a silent writer's last segment, so that the writer, should it wake up, learns that it was given up. */
  adopt(now: number): void {
    const last = this.segments.at(-1);
    if (this.life !== "silent" || last === undefined || last.final || last.adoptedAt !== null) return;
    const path = join(this.folder, segmentName(last.number, "adopted"));
    renameSync(last.path, path);
    last.path = path;
    last.adoptedAt = now;
  }

  /** Deletes the segments of which this reader committed every byte, and the folder when that was all. */
  sweep(): void {
    for (const segment of this.segments) {
      const { final, openEvents, pinned, path, offset, number } = segment;
      if (!final || openEvents > 0 || pinned || statSync(path).size !== offset) continue;
      unlinkSync(path);
      this.#segments.delete(number);
      if (segment.parted.size > 0) {
        // A segment that comes back after a power cut must find its parted events.
        syncNames(this.folder);
        unlinkSync(this.#partedPath(number));
      }
    }
    if (this.#segments.size === 0 && this.life !== "living") this.#removeFolder();
  }

  /** Writes down, on disk before they are given out, which events are given out with open parts. */
  noteParted(segment: Segment, offsets: readonly number[]): void {
    for (const offset of offsets) segment.parted.add(offset);
    const fd = openSync(this.#partedPath(segment.number), "a", 0o600);
    try {
      writeFileSync(fd, offsets.map((offset) => `${offset}\n`).join(""));
      fdatasyncSync(fd);
    } finally {
      closeSync(fd);
    }
    syncNames(this.folder);
  }

  /** Bytes of lines that are not committed by this reader. */
  uncommittedBytes(): number {
    const header = segmentHeader(this.name).length;
    return this.segments.reduce((sum, { path, committed }) => {
      const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      return sum + Math.max(0, size - Math.max(committed, header));
    }, 0);
  }

  #meet(number: number, names: readonly string[]): Segment {
    const segment: Segment = {
      writer: this,
      number,
      path: "",
      adoptedAt: null,
      final: false,
      offset: 0,
      committed: 0,
      doubtAt: null,
      pinned: false,
      openEvents: 0,
      parted: names.includes(segmentName(number, "parted")) ? readParted(this.#partedPath(number)) : new Set(),
    };
    this.#segments.set(number, segment);
    return segment;
  }

  #partedPath(number: number): string {
    return join(this.folder, segmentName(number, "parted"));
  }

  #removeFolder(): void {
    const names = readdirSync(this.folder);
    // A newborn segment of a writer that woke up: it is read like any other.
    if (names.some((name) => segmentNumber(name) !== null)) return;
    for (const name of names)
      if (/^(writer\.json|\d+\.(parted|journal))(\.new)?$/.test(name)) unlinkSync(join(this.folder, name));
    rmdirSync(this.folder);
  }
}

function readParted(path: string): Set<number> {
  const lines = readFileSync(path, "latin1").split("\n");
  // Behind the last newline stands nothing, or a number that was cut off.
  return new Set(lines.slice(0, -1).map(Number));
}
