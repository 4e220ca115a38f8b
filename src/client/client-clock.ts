/** Time and chance, as the client takes them; a test gives its own. */
export interface ClientClock {
  /** Milliseconds since 1970 UTC. */
  now(): number;
  /** Runs something once, later; the answer stops it. `mayEnd`: a program that has nothing else to do ends before. */
  schedule(delayMs: number, run: () => void, mayEnd?: boolean): () => void;
}

/** As many random bytes. */
export type RandomBytes = (count: number) => Uint8Array;

/** The machine's own clock. */
export const systemClock: ClientClock = {
  now: () => Date.now(),
  schedule: (delayMs, run, mayEnd = false) => {
    const timer = setTimeout(run, delayMs);
    // On edge runtimes a timer is a number, and keeps nothing alive.
    if (mayEnd && typeof timer === "object") timer.unref();
    return () => clearTimeout(timer);
  },
};

/** The platform's own randomness. */
export const systemRandom: RandomBytes = (count) => crypto.getRandomValues(new Uint8Array(count));

/** A new id, unique for ever: milliseconds in base 36, then 80 random bits. */
export function newId(now: number, random: RandomBytes): string {
  const tail = [...random(10)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${now.toString(36)}-${tail}`;
}

/** A fraction in [0, 1). */
export function randomFraction(random: RandomBytes): number {
  const [a = 0, b = 0, c = 0] = random(3);
  return (a * 65_536 + b * 256 + c) / 16_777_216;
}
