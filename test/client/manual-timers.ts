import type { ClientClock } from "../../src/client/index.ts";

interface Timer {
  readonly delayMs: number;
  readonly run: () => void;
}

/** A client's clock whose timers run when the test says so. */
export class ManualTimers implements ClientClock {
  time = 1_795_341_600_000;
  readonly timers = new Set<Timer>();
  readonly #watchers = new Set<() => void>();

  now(): number {
    return this.time;
  }

  schedule(delayMs: number, run: () => void): () => void {
    const timer = { delayMs, run };
    this.timers.add(timer);
    for (const watcher of this.#watchers) watcher();
    return () => void this.timers.delete(timer);
  }

  /** Waits until a timer of this delay is set, and runs it. */
  async fire(delayMs: number): Promise<void> {
    for (;;) {
      const timer = [...this.timers].find((each) => each.delayMs === delayMs);
      if (timer !== undefined) {
        this.timers.delete(timer);
        this.time += delayMs;
        timer.run();
        return;
      }
      await new Promise<void>((resolve) => {
        const once = (): void => {
          this.#watchers.delete(once);
          resolve();
        };
        this.#watchers.add(once);
      });
    }
  }
}

/** No randomness: ids differ by their time alone, and jitter is always its greatest. */
export const greatest = (count: number): Uint8Array => new Uint8Array(count).fill(255);

/** Jitter is always none. */
export const least = (count: number): Uint8Array => new Uint8Array(count);
