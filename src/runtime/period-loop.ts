import { limits } from "../engine/limits.ts";

/** What the loop of final records is made of. */
export interface PeriodLoopOptions {
  /** False = there is nothing to close, and no loop. */
  readonly isWanted: boolean;
  readonly isClosing: () => boolean;
  readonly round: () => Promise<void>;
  /** Told once, until a round goes well again. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Closes periods and hands records over, a round after the other. It waits for the network, so it stands beside the
 * drain; the store's own transactions keep them apart. Never keeps the process alive.
 */
export function periodLoop({ isWanted, isClosing, round, onFailure }: PeriodLoopOptions): void {
  if (!isWanted) return;
  let isFailing = false;
  const next = (): void => {
    if (isClosing()) return;
    setTimeout(() => {
      if (isClosing()) return;
      round()
        .then(
          () => void (isFailing = false),
          (error: unknown) => {
            if (!isFailing) onFailure(error);
            isFailing = true;
          },
        )
        .finally(next);
    }, limits.periodsEveryMs).unref();
  };
  next();
}
