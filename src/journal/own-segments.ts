import { readdirSync } from "node:fs";
import { basename, join } from "node:path";

import type { GroupSync } from "./group-sync.ts";
import { createSegment, standsAtItsPath, type SegmentFile } from "./segment-file.ts";
import {
  makeWriterFolder,
  putWriterRecord,
  thisWriter,
  touchWriterRecord,
  writerName,
  type WriterRecord,
} from "./writer-folder.ts";

export interface OwnSegmentsOptions {
  readonly root: string;
  readonly random: (bytes: number) => Uint8Array;
  readonly version: string | null;
  readonly sync: GroupSync;
}

/** The folder and the segments that this writer made: which one takes lines now, and what still stands of the others. */
export class OwnSegments {
  /** Takes the next line; null while none can. */
  active: SegmentFile | null = null;
  writer: string;
  readonly #options: OwnSegmentsOptions;
  #record: WriterRecord;
  #folderMade = false;
  #sealed = new Map<string, number>();
  #sealedBytes = 0;
  /** A segment that refused a line or lost its name; `spoiled` ones take no more lines. */
  #aside: { readonly segment: SegmentFile; readonly spoiled: boolean } | null = null;

  constructor(options: OwnSegmentsOptions, now: number) {
    this.#options = options;
    this.writer = writerName(now, options.random);
    this.#record = thisWriter(now, options.version);
  }

  /** Bytes of this writer's segments that no reader has deleted, as last counted. */
  get bytes(): number {
    return this.#sealedBytes + ((this.active ?? this.#aside?.segment)?.bytes ?? 0);
  }

  /** Takes the active segment out of use until `revive`. */
  setAside(spoiled: boolean): void {
    if (this.active !== null) this.#aside = { segment: this.active, spoiled };
    this.active = null;
  }

  /** Makes a segment active again: the one set aside, the next one, or one in a new folder. Throws on failure. */
  revive(now: number): void {
    if (this.active !== null) return;
    const aside = this.#aside;
    if (aside === null) this.#settle(null, now);
    else if (!this.#folderMade || !standsAtItsPath(aside.segment)) this.#moveAway(aside.segment, now);
    else if (aside.spoiled) this.#next(aside.segment);
    else this.active = aside.segment;
    this.#aside = null;
  }

  /** Goes on in a new segment. Throws on failure; the active segment stays in use then. */
  rotate(): void {
    if (this.active !== null) this.#next(this.active);
  }

  /** Shows life, and looks whether the active segment still stands where it was made. */
  check(now: number): boolean {
    if (this.active === null || !standsAtItsPath(this.active)) return false;
    try {
      touchWriterRecord(this.#folder, now);
    } catch {
      quietly(() => putWriterRecord(this.#folder, this.#record));
    }
    this.recount();
    return true;
  }

  /** Looks which full segments readers have deleted. */
  recount(): void {
    if (this.#sealed.size === 0) return;
    quietly(() => {
      const standing = new Set(readdirSync(this.#folder));
      for (const [name, bytes] of this.#sealed) {
        if (standing.has(name)) continue;
        this.#sealed.delete(name);
        this.#sealedBytes -= bytes;
      }
    });
  }

  /** Tells readers that nothing more will be written here. */
  markClosed(now: number): void {
    if (this.#folderMade) quietly(() => putWriterRecord(this.#folder, { ...this.#record, closedAt: now }));
  }

  get #folder(): string {
    return join(this.#options.root, this.writer);
  }

  #next(full: SegmentFile): void {
    this.#activate(createSegment(this.#folder, full.number + 1, this.writer, null));
    this.#sealed.set(basename(full.path), full.bytes);
    this.#sealedBytes += full.bytes;
  }

  /** Somebody adopted or removed the file: its lines are written down again under a name that nobody has seen. */
  #moveAway(lost: SegmentFile, now: number): void {
    if (this.#folderMade) {
      this.markClosed(now);
      this.writer = writerName(now, this.#options.random);
      this.#folderMade = false;
      this.#sealed.clear();
      this.#sealedBytes = 0;
    }
    this.#settle(lost, now);
  }

  #settle(linesOf: SegmentFile | null, now: number): void {
    this.#record = { ...this.#record, startedAt: now };
    makeWriterFolder(this.#folder, this.#record);
    this.#activate(createSegment(this.#folder, 1, this.writer, linesOf));
    this.#folderMade = true;
  }

  #activate(segment: SegmentFile): void {
    this.active = segment;
    this.#options.sync.follow(segment.fd, this.#folder);
  }
}

function quietly(step: () => void): void {
  try {
    step();
  } catch {
    // Only signs for others: what matters, the lines, is checked on its own.
  }
}
