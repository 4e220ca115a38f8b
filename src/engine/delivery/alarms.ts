import type { ErrorCode } from "../../core/errors.ts";

/** What is told to an operator. */
interface Alarm {
  readonly code: ErrorCode;
  readonly text: string;
}

/** Tells of a fault once, until it is over: a round each minute must not say the same thing each minute. */
export interface Alarms {
  /** Tells `alarm` through `tell` unless this fault was told already and goes on. */
  raise(fault: string, alarm: Alarm, tell: ((alarm: Alarm) => void) | undefined): void;
  /** The fault is over: when it comes again, it is told again. */
  end(fault: string): void;
}

/** Kept from round to round; a command has its own, so it always says what is wrong. */
export function alarms(): Alarms {
  const told = new Set<string>();
  return {
    raise: (fault, alarm, tell) => {
      if (told.has(fault)) return;
      told.add(fault);
      tell?.(alarm);
    },
    end: (fault) => void told.delete(fault),
  };
}
