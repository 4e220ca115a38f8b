import { closeSync, fstatSync, openSync, readdirSync, statSync } from "node:fs";

import { limits } from "../engine/limits.ts";
import type { Clock } from "../engine/ports.ts";
import { MeterbookError } from "../core/errors.ts";
import { journalBounds, type JournalBounds } from "./bounds.ts";
import { Handout, type DrainBatch } from "./handout.ts";
import { parseLine } from "./line.ts";
import { LineReader } from "./line-reader.ts";
import { OpenEvents, type LineOrigin } from "./open-events.ts";
import { diskError, systemCode, tell, type ProblemListener } from "./problem.ts";
import { quarantine, quarantinePath, type Damage } from "./quarantine.ts";
import { isWriterName } from "./writer-folder.ts";
import { WriterSegments, type Segment } from "./writer-segments.ts";

const HEADER_START = "meterbook-journal 1 ";

/** Reads what writers wrote down, and deletes it once it is committed. Used by one loop: next, store, commit. */
export interface Drain {
  /** The next facts, about `limit` at most; empty when there is nothing new. */
  next(limit: number): DrainBatch;
  /** Says that all that was given out is stored: segments that are wholly stored are deleted. */
  commit(): void;
  /** What was given out since the last commit will be given out again. */
  rollback(): void;
  backlog(): DrainBacklog;
}

interface DrainBacklog {
  /** Bytes that are not committed by this drain. */
  readonly bytes: number;
  /** Events that wait for their open parts. */
  readonly openEvents: number;
  /** Age of the oldest event that is not committed, by its own time, in milliseconds; null when there is none. */
  readonly oldestMs: number | null;
}

export interface DrainOptions {
  readonly root: string;
  readonly clock: Clock;
  /** The writer of this process, which lives as long as it has not closed; null in a process without a journal. */
  readonly own: string | null;
  readonly openPartsWaitMs?: number;
  readonly onProblem: ProblemListener;
  readonly bounds?: Partial<JournalBounds>;
}

/** Opens a drain over all journals under a root, which need not exist yet. It throws nothing; problems are told. */
export function openDrain(options: DrainOptions): Drain {
  return new JournalDrain(options);
}

class JournalDrain implements Drain {
  readonly #options: DrainOptions;
  readonly #bounds: JournalBounds;
  readonly #openPartsWaitMs: number;
  readonly #handout = new Handout();
  readonly #open = new OpenEvents(this.#handout, (origin) => this.#parting(origin));
  readonly #reader: LineReader;
  readonly #writers = new Map<string, WriterSegments>();
  readonly #told = new Set<string>();
  #parted = new Map<Segment, number[]>();
  #turn = 0;

  constructor(options: DrainOptions) {
    this.#options = options;
    this.#bounds = journalBounds(options.bounds);
    this.#openPartsWaitMs = options.openPartsWaitMs ?? limits.openPartsWaitMs;
    this.#reader = new LineReader(this.#bounds.lineBytesMax);
  }

  next(limit: number): DrainBatch {
    if (this.#handout.waitsToRepeat) return this.#handout.repeat(limit);
    const now = this.#options.clock.now();
    this.#refresh(now);
    for (const writer of this.#inTurn()) {
      this.#attempt(writer, "adopt", () => writer.adopt(now));
      for (const segment of writer.segments) if (this.#handout.filled < limit) this.#readSegment(segment, limit, now);
    }
    // Only who has read all there is knows that a missing part did not come.
    if (this.#handout.filled < limit) this.#partDue(now, limit - this.#handout.filled);
    this.#open.part(() => true, this.#open.size - this.#bounds.openEventsMax);
    this.#noteParted();
    const batch = this.#handout.take();
    if (!this.#handout.outstanding) this.#sweep();
    return batch;
  }

  commit(): void {
    this.#handout.commit();
    if (this.#handout.waitsToRepeat) return;
    for (const { segments } of this.#writers.values())
      for (const segment of segments) segment.committed = segment.offset;
    this.#sweep();
  }

  rollback(): void {
    this.#handout.rollback();
  }

  backlog(): DrainBacklog {
    const now = this.#options.clock.now();
    this.#refresh(now);
    const writers = [...this.#writers.values()];
    const times = [
      this.#open.oldestTime,
      this.#handout.oldestTime,
      ...writers.map((writer) => this.#firstUnreadTime(writer)),
    ];
    const known = times.filter((time) => time !== null);
    return {
      bytes: writers.reduce((sum, writer) => sum + writer.uncommittedBytes(), 0),
      openEvents: this.#open.size,
      oldestMs: known.length === 0 ? null : Math.max(0, now - Math.min(...known)),
    };
  }

  #refresh(now: number): void {
    const { root, own } = this.#options;
    let names: string[] = [];
    try {
      names = readdirSync(root).filter(isWriterName).toSorted();
    } catch (cause) {
      if (systemCode(cause) !== "ENOENT") this.#tellOnce(root, "read", cause);
    }
    const standing = new Set(names);
    for (const [name, writer] of this.#writers) {
      if (standing.has(name)) continue;
      for (const segment of writer.segments) this.#open.forget(segment);
      this.#writers.delete(name);
    }
    for (const name of names) {
      const writer = this.#writers.get(name) ?? new WriterSegments(root, name);
      this.#writers.set(name, writer);
      this.#attempt(writer, "read", () => {
        // Only a reader that has committed a segment deletes it: its open events are stored.
        for (const lost of writer.refresh(now, this.#bounds.writerSilenceMs, name === own)) this.#open.forget(lost);
      });
    }
  }

  /** All writers, beginning with another one each time, so that a busy one cannot starve the others. */
  #inTurn(): readonly WriterSegments[] {
    const writers = [...this.#writers.values()];
    const first = writers.length === 0 ? 0 : this.#turn++ % writers.length;
    return [...writers.slice(first), ...writers.slice(0, first)];
  }

  #readSegment(segment: Segment, limit: number, now: number): void {
    this.#attempt(segment.writer, "read", () => {
      const { size } = statSync(segment.path);
      // A file that shrank was exchanged by hand: what stands there now is read from its start.
      if (size < segment.offset) segment.offset = 0;
      if (size === segment.offset) return;
      const fd = openSync(segment.path, "r");
      try {
        this.#readLines(fd, segment, limit, now);
      } finally {
        closeSync(fd);
      }
    });
  }

  #readLines(fd: number, segment: Segment, limit: number, now: number): void {
    const { lineBytesMax } = this.#bounds;
    const damages: Damage[] = [];
    let doubtAt: number | null = null;
    const behind = this.#reader.read(fd, segment.offset, (block, start, end, offset, next) => {
      const entry = block === null || end - start >= lineBytesMax ? null : parseLine(block, start, end);
      if (entry !== null) {
        const origin: LineOrigin = { segment, offset };
        this.#open.add(entry, origin, now, segment.parted.size > 0 && segment.parted.has(offset));
        return this.#handout.filled < limit;
      }
      if (offset === 0 && block !== null && isHeader(block, end)) return true;
      const last = damages.at(-1);
      const known = segment.final || segment.doubtAt === offset || last?.end === offset;
      if (!known) {
        doubtAt = offset;
        return false;
      }
      if (last?.end === offset) damages[damages.length - 1] = { start: last.start, end: next };
      else damages.push({ start: offset, end: next });
      return true;
    });
    segment.doubtAt = doubtAt;
    segment.offset = doubtAt ?? behind;
    const { size } = fstatSync(fd);
    if (segment.final && this.#handout.filled < limit && segment.offset < size) {
      damages.push({ start: segment.offset, end: size });
      segment.offset = size;
    }
    if (damages.length > 0) this.#keepDamages(fd, segment, damages);
  }

  #keepDamages(fd: number, segment: Segment, damages: readonly Damage[]): void {
    const { root, onProblem } = this.#options;
    const kept: string[] = [];
    let bytes = 0;
    try {
      for (const damage of damages) {
        const path = quarantinePath(root, segment.writer.name, segment.number, damage.start);
        if (!quarantine(fd, damage, path)) continue;
        kept.push(path);
        bytes += damage.end - damage.start;
      }
    } catch (cause) {
      segment.pinned = true;
      const what = `Damaged bytes in ${segment.path} cannot be copied to quarantine; the segment is not deleted`;
      const error = diskError("METER_JOURNAL_DAMAGED", what, cause, ". Reading went on behind them.");
      tell(onProblem, { phase: "noted", error, refused: 0 });
    }
    const [first] = kept;
    if (first === undefined) return;
    const pieces = kept.length === 1 ? "1 piece" : `${kept.length} pieces`;
    const message = `${pieces} of ${segment.path}, ${bytes} bytes, are no whole journal lines; kept in ${first}${kept.length > 1 ? " and beside it" : ""}.`;
    const remedy =
      "A crash or a power cut can leave a torn last line, which was never confirmed. Anything else: check the disk.";
    tell(onProblem, {
      phase: "noted",
      error: new MeterbookError("METER_JOURNAL_DAMAGED", message, { remedy }),
      refused: 0,
    });
  }

  #partDue(now: number, eventsMax: number): void {
    this.#open.part(
      (origin, since) => origin?.segment.writer.ended === true || now - since >= this.#openPartsWaitMs,
      eventsMax,
    );
  }

  /** An ended writer's event looks the same at each reading; any other must be remembered as given out incomplete. */
  #parting(origin: LineOrigin | null): void {
    if (origin === null || origin.segment.writer.ended) return;
    const offsets = this.#parted.get(origin.segment);
    if (offsets === undefined) this.#parted.set(origin.segment, [origin.offset]);
    else offsets.push(origin.offset);
  }

  #noteParted(): void {
    if (this.#parted.size === 0) return;
    for (const [segment, offsets] of this.#parted) {
      this.#attempt(segment.writer, "write", () => segment.writer.noteParted(segment, offsets));
    }
    this.#parted = new Map();
  }

  #sweep(): void {
    for (const writer of this.#writers.values()) this.#attempt(writer, "clean", () => writer.sweep());
  }

  #firstUnreadTime(writer: WriterSegments): number | null {
    let time: number | null = null;
    for (const { path, offset } of writer.segments) {
      this.#attempt(writer, "read", () => {
        const fd = openSync(path, "r");
        try {
          this.#reader.read(fd, offset, (block, start, end) => {
            const entry = block === null ? null : parseLine(block, start, end);
            if (entry?.kind === "event") ({ time } = entry.event);
            return time === null;
          });
        } finally {
          closeSync(fd);
        }
      });
      if (time !== null) break;
    }
    return time;
  }

  /** Runs a step on a writer's files. A file that another reader deleted meanwhile is no trouble; the rest is told once. */
  #attempt(writer: WriterSegments, verb: string, step: () => void): void {
    try {
      step();
    } catch (cause) {
      if (systemCode(cause) !== "ENOENT" && systemCode(cause) !== "ENOTEMPTY")
        this.#tellOnce(writer.folder, verb, cause);
    }
  }

  #tellOnce(where: string, verb: string, cause: unknown): void {
    const key = `${where} ${verb} ${systemCode(cause)}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    const error = diskError(
      "METER_JOURNAL_DAMAGED",
      `The worker cannot ${verb} ${where}`,
      cause,
      ". Nothing is lost; it is tried again.",
    );
    tell(this.#options.onProblem, { phase: "noted", error, refused: 0 });
  }
}

function isHeader(block: Buffer, end: number): boolean {
  return block.toString("latin1", 0, Math.min(end, HEADER_START.length)) === HEADER_START;
}
