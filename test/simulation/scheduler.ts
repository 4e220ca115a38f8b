import { createHash, type Hash } from "node:crypto";

import type { SeededRandom } from "../faults/seeded-random.ts";

/** One simulated process in one of its lives: what it awaits at a port is parked until the scheduler lets it go on. */
export interface Actor {
  readonly name: string;
  /** Set by a crash: nothing of this life ever goes on. */
  isDead: boolean;
  /** SIGSTOP: nothing of it goes on before this instant. */
  frozenUntil: number;
  /** How its clock differs from true time, milliseconds. */
  skewMs: number;
  /** Chance that it dies where it is about to go on. */
  crashRate: number;
  readonly onCrash: () => void;
}

interface Parked {
  readonly actor: Actor;
  readonly label: string;
  readonly readyAt: number;
  readonly resume: () => void;
}

/**
 * Virtual time and the choice of who goes on. All code between two ports runs without interruption, as it does in a real
 * process between two of its system calls; at the ports every order can happen.
 */
export class Scheduler {
  now: number;
  readonly #random: SeededRandom;
  readonly #trace: Hash = createHash("sha256");
  /** What is not in the hash yet. */
  #traced = "";
  #parked: Parked[] = [];
  #apart = 0;
  steps = 0;

  constructor(random: SeededRandom, startsAt: number) {
    this.#random = random;
    this.now = startsAt;
  }

  /** Resolves when the scheduler chooses it, at the earliest after `delayMs`; never when the actor has died. */
  turn(actor: Actor, label: string, delayMs = 0): Promise<void> {
    return new Promise((resume) => {
      if (!actor.isDead) this.#parked.push({ actor, label, readyAt: this.now + delayMs, resume });
    });
  }

  /** Real input and output that is no port, such as opening a file: nobody else goes on before it has ended. */
  async apart<Result>(work: Promise<Result>): Promise<Result> {
    this.#apart += 1;
    try {
      return await work;
    } finally {
      this.#apart -= 1;
    }
  }

  kill(actor: Actor): void {
    actor.isDead = true;
    this.#parked = this.#parked.filter((parked) => parked.actor !== actor);
    actor.onCrash();
  }

  /** Runs until virtual time is over, or nobody waits for anything. */
  async run(until: number): Promise<void> {
    for (;;) {
      const ready = this.#parked.filter((parked) => readyAt(parked) <= this.now);
      if (ready.length === 0) {
        const next = Math.min(...this.#parked.map(readyAt));
        if (next > until) {
          this.now = Math.max(this.now, Math.min(until, next));
          return;
        }
        this.now = next;
        continue;
      }
      await this.#step(ready);
    }
  }

  /** What happened so far, as a hash: two runs of one seed have the same. */
  trace(): string {
    return this.#trace.copy().update(this.#traced).digest("hex");
  }

  async #step(ready: readonly Parked[]): Promise<void> {
    const chosen = ready[Math.floor(this.#random.next() * ready.length)];
    if (chosen === undefined) return;
    this.steps += 1;
    const { actor, label } = chosen;
    const dies = actor.crashRate > 0 && this.#random.next() < actor.crashRate;
    this.#note(`${this.now} ${actor.name} ${label} ${dies ? "dies" : ""}\n`);
    if (dies) return this.kill(actor);
    this.#parked.splice(this.#parked.indexOf(chosen), 1);
    chosen.resume();
    // Everything up to the next port is promises. Node runs a tick only when none of them is left to run, and ticks cost a
    // fraction of a turn of the loop; what is real input and output needs the loop itself.
    do await new Promise<void>((settled) => (this.#apart > 0 ? setImmediate(settled) : process.nextTick(settled)));
    while (this.#apart > 0);
  }

  #note(line: string): void {
    this.#traced += line;
    if (this.#traced.length < TRACED_CHARS_MAX) return;
    this.#trace.update(this.#traced);
    this.#traced = "";
  }
}

/** Hashing step by step would cost more than the steps' own choices. */
const TRACED_CHARS_MAX = 65_536;

function readyAt({ readyAt: at, actor }: Parked): number {
  return Math.max(at, actor.frozenUntil);
}
