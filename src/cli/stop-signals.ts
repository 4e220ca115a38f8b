import { constants } from "node:os";

import { EXIT } from "./exit-codes.ts";

type StopSignal = "SIGINT" | "SIGTERM";

/** Signals by which a person or a supervisor ends a command. */
const STOP_SIGNALS: readonly StopSignal[] = ["SIGINT", "SIGTERM"];

const endNow = (): void => process.exit(EXIT.interrupted);

/** ^C ends the process at once with 130, until a command takes its signals over. */
export function endOnInterrupt(): void {
  process.once("SIGINT", endNow);
}

/** 128 and the signal's number: what a shell says of a process that a signal ended. */
export function exitOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** Calls back at each signal to stop; what follows is the command's own matter. */
export function takeStopSignals(onSignal: (signal: StopSignal) => void): void {
  process.off("SIGINT", endNow);
  for (const signal of STOP_SIGNALS) process.on(signal, () => onSignal(signal));
}

/** A stop that a command waits for, so that it can put everything away. */
export interface Stop {
  /** With what the command shall end; null while nobody stopped it. */
  readonly exit: () => number | null;
  readonly came: Promise<number>;
}

/** The first signal to stop; a second one ends the process at once, whatever is left to put away. */
export function stopSignal(): Stop {
  let exit: number | null = null;
  const came = new Promise<number>((resolve) => {
    takeStopSignals((signal) => {
      if (exit !== null) process.exit(exitOf(signal));
      exit = exitOf(signal);
      resolve(exit);
    });
  });
  return { exit: () => exit, came };
}

/** Waits for SIGHUP, by which a person asks that the configuration is read again. */
export interface HangUps {
  /** Calls back at each one, at once where some came before: they count as one. */
  readonly take: (onHangUp: () => void) => void;
  /** From now on they do nothing. */
  readonly ignore: () => void;
}

/** From now on no SIGHUP ends the process, as it would by itself: neither before anybody can take it, nor at the end. */
export function hangUps(): HangUps {
  let hasCome = false;
  let call = (): void => void (hasCome = true);
  process.on("SIGHUP", () => call());
  return {
    take: (onHangUp) => {
      call = onHangUp;
      if (hasCome) onHangUp();
    },
    ignore: () => void (call = () => undefined),
  };
}
