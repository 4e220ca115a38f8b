import { limits } from "../engine/limits.ts";

/** What the loop of final records is made of. */
export interface PeriodLoopOptions {
  readonly isClosing: () => boolean;
  readonly round: () => Promise<void>;
  /** Told once, until a round goes well again. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Closes periods and hands records over, a round after the other. It waits for the network, so it stands beside the
 * drain; the store's own transactions keep them apart. Never keeps the process alive. `done`: the round under way has ended.
 */
export function periodLoop({ isClosing, round, onFailure }: PeriodLoopOptions): { done(): Promise<void> } {
  let isFailing = false;
  let underWay: Promise<void> = Promise.resolve();
  const next = (): void => {
    if (isClosing()) return;
    setTimeout(() => {
      if (isClosing()) return;
      underWay = round().then(
        () => void (isFailing = false),
        (error: unknown) => {
          if (!isFailing) onFailure(error);
          isFailing = true;
        },
      );
      void underWay.finally(next);
    }, limits.periodsEveryMs).unref();
  };
  next();
  return { done: () => underWay };
}
