import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach } from "vitest";

import type { Amendment, JournalEntry, OpenPart, UsageEvent } from "../../src/core/event.ts";
import type { JournalBounds } from "../../src/journal/bounds.ts";
import { openDrain, type Drain } from "../../src/journal/drain.ts";
import { openJournal, type Journal } from "../../src/journal/journal.ts";
import type { JournalProblem } from "../../src/journal/problem.ts";

/** A clock that moves only when told. It starts now, since files get their stamps from the real one. */
export class HandClock {
  #now = Date.now();
  now(): number {
    return this.#now;
  }
  forward(ms: number): void {
    this.#now += ms;
  }
}

/** One journal root in a temporary folder, with a clock and all problems that were told. */
export class Place {
  readonly folder = mkdtempSync(join(tmpdir(), "meterbook-journal-"));
  readonly root = join(this.folder, "journal");
  readonly clock = new HandClock();
  readonly problems: JournalProblem[] = [];
  readonly #journals: Journal[] = [];
  #seed = 1;

  journal(bounds: Partial<JournalBounds> = {}, durability: "process" | "power" = "process"): Journal {
    const journal = openJournal({
      root: this.root,
      durability,
      clock: this.clock,
      random: (bytes) => Uint8Array.from({ length: bytes }, () => (this.#seed = (this.#seed * 75 + 74) % 65537) % 256),
      onProblem: (problem) => this.problems.push(problem),
      bounds,
    });
    this.#journals.push(journal);
    return journal;
  }

  drain(bounds: Partial<JournalBounds> = {}, own: string | null = null): Drain {
    return openDrain({
      root: this.root,
      clock: this.clock,
      own,
      onProblem: (problem) => this.problems.push(problem),
      bounds,
    });
  }

  told(): string[] {
    return this.problems.map(({ phase, error }) => `${phase} ${error.code}`);
  }

  /** Names under the root (or a folder of it), sorted. */
  names(folder = ""): string[] {
    return readdirSync(join(this.root, folder)).toSorted();
  }

  text(...path: string[]): string {
    return readFileSync(join(this.root, ...path), "utf8");
  }

  /** Rewrites what a writer says about itself. */
  claim(writer: string, claims: object): void {
    const path = join(this.root, writer, "writer.json");
    const record: object = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...record, ...claims }));
  }

  async remove(): Promise<void> {
    await Promise.all(this.#journals.map((journal) => journal.close()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const places: Place[] = [];

/** A place that is removed after the test. */
export function place(): Place {
  const made = new Place();
  places.push(made);
  return made;
}

afterEach(async () => {
  for (const made of places.splice(0)) await made.remove();
});

export function makeEvent(id: string, facts: Partial<UsageEvent> = {}): UsageEvent {
  return { source: "api", id, type: "http.request", time: 1_789_000_000_000, company: "acme", user: null, ...facts };
}

export function eventLine(event: UsageEvent, open: readonly OpenPart[] = []): string {
  return JSON.stringify({ kind: "event", event, open } satisfies JournalEntry);
}

export function amendmentLine(amendment: Amendment): string {
  return JSON.stringify({ kind: "amendment", amendment } satisfies JournalEntry);
}

/** Appends a plain event and answers its id; null when it was refused. */
export function appendEvent(journal: Journal, facts: Partial<UsageEvent> = {}): string | null {
  const id = journal.nextId();
  return journal.append(eventLine(makeEvent(id, facts))) ? id : null;
}

/** Takes and commits until nothing new comes. */
export function drainAll(drain: Drain, limit = 1_000): { events: UsageEvent[]; amendments: Amendment[] } {
  const all = { events: [] as UsageEvent[], amendments: [] as Amendment[] };
  for (;;) {
    const batch = drain.next(limit);
    if (batch.events.length + batch.amendments.length === 0) return all;
    all.events.push(...batch.events);
    all.amendments.push(...batch.amendments);
    drain.commit();
  }
}

/** Ids in the order of `ids`; a refused one shows as "null". */
export const sorted = (all: readonly (string | null)[]): string[] => all.map(String).toSorted();

export const ids = (events: readonly UsageEvent[]): string[] => events.map(({ id }) => id).toSorted();

/** A drain with what it committed to a store of its own. */
export class Reader {
  readonly stored = new Set<string>();
  #given: string[] = [];
  #drain: Drain;
  readonly #here: Place;
  constructor(here: Place) {
    this.#here = here;
    this.#drain = here.drain();
  }
  next(limit: number): number {
    const { events, amendments } = this.#drain.next(limit);
    for (const { id, company } of events)
      this.#given.push(`event ${id}`, ...(company === null ? [] : [`company ${id}`]));
    for (const { id } of amendments) this.#given.push(`company ${id}`);
    return events.length + amendments.length;
  }
  commit(): void {
    for (const fact of this.#given.splice(0)) this.stored.add(fact);
    this.#drain.commit();
  }
  rollback(): void {
    this.#given = [];
    this.#drain.rollback();
  }
  restart(): void {
    this.#given = [];
    this.#drain = this.#here.drain();
  }
}
