import { MeterbookError } from "../core/errors.ts";
import type { Clock } from "../engine/ports.ts";
import { journalBounds, type JournalBounds } from "./bounds.ts";
import { GroupSync } from "./group-sync.ts";
import { LineEncoder } from "./line.ts";
import { OwnSegments } from "./own-segments.ts";
import { Episode, diskError, systemCode, tell, type ProblemListener } from "./problem.ts";
import { appendWhole, cutBack, type SegmentFile } from "./segment-file.ts";

/** Where events are written down before the last byte of their response leaves. Never throws. */
export interface Journal {
  /** This process run's name; it begins every event id made by `nextId`. */
  readonly writer: string;
  /** A new event id, unique for ever: `<writer>-<count in base 36>`. */
  nextId(): string;
  /** Writes one JournalEntry's JSON down before it returns. False = refused; it is counted and the owner is told. */
  append(json: string): boolean;
  /** As `append`; `done` runs later, when the line is on disk, or with the reason why that is not known. */
  appendDurable(json: string, done: (error?: MeterbookError) => void): void;
  /** Resolves when all that was appended so far is on disk, or when the disk refused (`stats` tells). */
  sync(): Promise<void>;
  stats(): JournalStats;
  /** Syncs, marks the writer as closed and refuses what comes later. */
  close(): Promise<void>;
}

export interface JournalStats {
  /** Lines accepted. */
  readonly written: number;
  /** Lines that could not be written down. */
  readonly refused: number;
  /** Bytes of accepted lines. */
  readonly bytes: number;
  /** Bytes of this writer's segments that no reader has deleted yet. */
  readonly backlogBytes: number;
  /** The trouble that lasts now, if any. */
  readonly problem: MeterbookError | null;
}

export interface JournalOptions {
  /** The directory of all journals; it is made when it does not exist. */
  readonly root: string;
  /** `process`: a line survives the process at once, the power supply after journalSyncMs. `power`: synced at once. */
  readonly durability: "process" | "power";
  readonly clock: Clock;
  /** Random bytes, for the writer's name. */
  readonly random: (bytes: number) => Uint8Array;
  readonly onProblem: ProblemListener;
  /** Version of the writing program, for the record only. */
  readonly version?: string;
  readonly bounds?: Partial<JournalBounds>;
}

/** Opens a journal. While the disk refuses, it refuses events and tries again; it never throws. */
export function openJournal(options: JournalOptions): Journal {
  return new FileJournal(options);
}

class FileJournal implements Journal {
  readonly #options: JournalOptions;
  readonly #bounds: JournalBounds;
  readonly #encoder = new LineEncoder();
  readonly #sync = new GroupSync((cause) => this.#synced(cause));
  readonly #own: OwnSegments;
  readonly #unwritable: Episode;
  readonly #unsynced: Episode;
  readonly #full: Episode;
  readonly #heartbeat: NodeJS.Timeout;
  #syncTimer: NodeJS.Timeout | null = null;
  /** When the active segment was last seen where it belongs. */
  #checkedAt: number;
  /** How long a check is good for: see the proof in FORMAT.md. */
  readonly #provenMs: number;
  #triedAt = Number.NEGATIVE_INFINITY;
  #closing: Promise<void> | null = null;
  #ids = 0;
  #written = 0;
  #refused = 0;
  #bytes = 0;

  constructor(options: JournalOptions) {
    const { root, random, onProblem, version = null } = options;
    const now = options.clock.now();
    this.#options = options;
    this.#bounds = journalBounds(options.bounds);
    this.#provenMs = Math.min(this.#bounds.writerHeartbeatMs, this.#bounds.writerSilenceMs / 2);
    this.#unwritable = new Episode(onProblem);
    this.#unsynced = new Episode(onProblem);
    this.#full = new Episode(onProblem);
    this.#own = new OwnSegments({ root, random, version, sync: this.#sync }, now);
    this.#checkedAt = now;
    this.#recover(now);
    this.#heartbeat = setInterval(() => this.#check(), this.#bounds.writerHeartbeatMs).unref();
  }

  get writer(): string {
    return this.#own.writer;
  }

  nextId(): string {
    return `${this.#own.writer}-${(this.#ids++).toString(36)}`;
  }

  append(json: string): boolean {
    if (!this.#write(json)) return false;
    if (this.#options.durability === "power") this.#sync.request();
    else this.#syncTimer ??= setTimeout(this.#syncNow, this.#bounds.journalSyncMs).unref();
    return true;
  }

  appendDurable(json: string, done: (error?: MeterbookError) => void): void {
    if (this.#write(json)) {
      this.#sync.request((cause) => (cause === null ? done() : done(this.#unsyncedError(cause))));
      return;
    }
    process.nextTick(done, this.stats().problem ?? this.#error("the journal is closed, or the line is too long"));
  }

  sync(): Promise<void> {
    return new Promise((resolve) => this.#sync.request(() => resolve()));
  }

  stats(): JournalStats {
    this.#own.recount();
    return {
      written: this.#written,
      refused: this.#refused,
      bytes: this.#bytes,
      backlogBytes: this.#own.bytes,
      problem: this.#unwritable.error ?? this.#full.error ?? this.#unsynced.error,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#heartbeat);
    if (this.#syncTimer !== null) clearTimeout(this.#syncTimer);
    // The last chance to copy lines whose file was adopted or removed.
    this.#check();
    this.#own.setAside(true);
    await this.#sync.close();
    this.#own.markClosed(this.#options.clock.now());
  }

  #write(json: string): boolean {
    const segment = this.#closing === null && json.length <= this.#bounds.lineBytesMax ? this.#place() : null;
    if (segment === null) return this.#refuse(json.length);
    const length = this.#encoder.encode(json);
    if (length > this.#bounds.lineBytesMax) return this.#refuse(length);
    const roomy = this.#roomy(segment, length);
    if (roomy === null) return this.#refuse(length);
    const failure = appendWhole(roomy, this.#encoder.buffer, length);
    if (failure !== null) {
      this.#failed(failure.cause, failure.torn);
      return this.#refuse(length);
    }
    // Read after the write: only so does a process that was frozen learn that its file may have been adopted meanwhile.
    const now = this.#options.clock.now();
    const proven = now - this.#checkedAt <= this.#provenMs && now >= this.#checkedAt;
    if (!proven && !this.#check()) {
      cutBack(roomy, roomy.bytes - length);
      return this.#refuse(length);
    }
    this.#written++;
    this.#bytes += length;
    this.#unwritable.end();
    this.#full.end();
    return true;
  }

  #refuse(length: number): false {
    this.#refused++;
    if (this.#closing !== null) return false;
    if (length > this.#bounds.lineBytesMax) {
      const error = this.#error(`a line of ${length} bytes is longer than ${this.#bounds.lineBytesMax}`);
      tell(this.#options.onProblem, { phase: "noted", error, refused: 1 });
    } else if (this.#unwritable.error === null) this.#full.refuse();
    else this.#unwritable.refuse();
    return false;
  }

  /** The segment for the next line; null while there is none. */
  #place(): SegmentFile | null {
    if (this.#own.active === null) this.#recover(this.#options.clock.now());
    return this.#own.active;
  }

  /** Keeps a segment and the backlog within their bounds; null when the backlog has no room for the line. */
  #roomy(segment: SegmentFile, length: number): SegmentFile | null {
    const { segmentBytesMax, backlogBytesMax } = this.#bounds;
    if (segment.bytes + length > segmentBytesMax) this.#rotate(segment);
    if (this.#own.bytes + length > backlogBytesMax) {
      if (this.#full.error !== null && !this.#due()) return null;
      this.#triedAt = this.#options.clock.now();
      // Only a full segment can be deleted by readers.
      if (this.#own.active !== null) this.#rotate(this.#own.active);
      this.#own.recount();
      if (this.#own.bytes + length > backlogBytesMax) {
        this.#full.begin(this.#fullError(this.#own.bytes));
        return null;
      }
    }
    return this.#own.active;
  }

  #rotate(segment: SegmentFile): void {
    if (segment.bytes === segment.headerBytes) return;
    try {
      this.#own.rotate();
    } catch {
      // The old segment still takes lines, beyond its size; a disk that refuses these too is reported by the write.
      this.#check();
    }
  }

  /** Sets a segment that refused a line aside. Only after a full disk can the same file be trusted again. */
  #failed(cause: unknown, torn: boolean): void {
    this.#own.setAside(torn || !["ENOSPC", "EDQUOT"].includes(systemCode(cause)));
    this.#triedAt = this.#options.clock.now();
    this.#unwritable.begin(this.#error(cause));
  }

  /** Tries, at most every journalRetryMs, to have a segment that takes lines. */
  #recover(now: number): boolean {
    if (!this.#due()) return false;
    this.#triedAt = now;
    try {
      this.#own.revive(now);
      this.#checkedAt = now;
      return true;
    } catch (cause) {
      this.#unwritable.begin(this.#error(cause));
      return false;
    }
  }

  #due(): boolean {
    const since = this.#options.clock.now() - this.#triedAt;
    return since >= this.#bounds.journalRetryMs || since < 0;
  }

  /** Shows life; a segment that was adopted or removed is written down again elsewhere. False when that failed. */
  #check(): boolean {
    const now = this.#options.clock.now();
    if (this.#own.active === null) return this.#recover(now);
    if (this.#own.check(now)) {
      this.#checkedAt = now;
      return true;
    }
    this.#unwritable.begin(this.#error("its file was moved or removed; its lines are copied to a new one"));
    this.#own.setAside(false);
    this.#triedAt = Number.NEGATIVE_INFINITY;
    const copied = this.#recover(now);
    if (copied) this.#unwritable.end();
    return copied;
  }

  readonly #syncNow = (): void => {
    this.#syncTimer = null;
    this.#sync.request();
  };

  #synced(cause: unknown): void {
    if (cause === null) {
      this.#unsynced.end();
      return;
    }
    this.#unsynced.begin(this.#unsyncedError(cause));
    // After a failed sync the system may have dropped the pages: a second sync of this file would prove nothing.
    if (this.#own.active !== null && this.#closing === null) {
      this.#own.setAside(true);
      this.#triedAt = Number.NEGATIVE_INFINITY;
    }
  }

  #error(cause: unknown): MeterbookError {
    const what = `The journal in ${this.#options.root} cannot be written`;
    return diskError("METER_JOURNAL_UNWRITABLE", what, cause, ". The app goes on; usage is not counted meanwhile.");
  }

  #unsyncedError(cause: unknown): MeterbookError {
    const what = `The journal in ${this.#options.root} cannot be brought to the disk`;
    return diskError(
      "METER_JOURNAL_UNWRITABLE",
      what,
      cause,
      ". Its last lines survive the process, but maybe not a power cut.",
    );
  }

  #fullError(bytes: number): MeterbookError {
    const message =
      `The journal in ${this.#options.root} holds ${bytes} bytes that were not taken over into the database yet; ` +
      `the bound is ${this.#bounds.backlogBytesMax}. The app goes on; further usage is refused and counted.`;
    return new MeterbookError("METER_BACKLOG_FULL", message, {
      remedy: "Look why the worker does not store events (its log, `meterbook status`); writing goes on by itself.",
    });
  }
}
