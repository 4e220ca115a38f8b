import { limits } from "../engine/limits.ts";
import type { MemoryJournal } from "../journal/memory-journal.ts";
import type { WorkerLink } from "./worker-link.ts";

const HAND_OVER_MS = 20;

/**
 * In `durability: memory` lines go to the worker by message, a few times a second, never more than its bound at once.
 * They are kept here until the store has them: a worker that died gets them again, and identity makes that harmless.
 */
export class HandOver {
  readonly #journal: MemoryJournal;
  #link: WorkerLink | null = null;
  #timer: NodeJS.Timeout | undefined;
  #handed: string[] = [];

  constructor(journal: MemoryJournal) {
    this.#journal = journal;
  }

  start(link: WorkerLink): void {
    this.#link = link;
    this.#timer = setInterval(() => this.hand(), HAND_OVER_MS);
    this.#timer.unref();
  }

  hand(): void {
    const lines = this.#journal.take(Math.max(0, limits.memoryEventsMax - this.#handed.length));
    if (lines.length === 0) return;
    this.#handed.push(...lines);
    this.#link?.sendLines(lines);
  }

  /** The store has the oldest of what was handed over. */
  taken(lines: number): void {
    this.#handed.splice(0, lines);
  }

  /** A new worker knows nothing of what the old one was given. */
  handAgain(): void {
    if (this.#handed.length > 0) this.#link?.sendLines(this.#handed);
  }

  /** Lines that the store does not have. */
  get waiting(): number {
    return this.#handed.length + this.#journal.waiting;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
