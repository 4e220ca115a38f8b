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
  /** These faults of a kind go on, all others of it are over; answers those that were not told before. */
  goOn(kind: string, names: readonly string[]): readonly string[];
  /** Whether a fault of a kind went on when it was last told of. */
  goesOn(kind: string, name: string): boolean;
}

/** Kept from round to round; a command has its own, so it always says what is wrong. */
export function alarms(): Alarms {
  const told = new Set<string>();
  const kinds = new Map<string, ReadonlySet<string>>();
  return {
    raise: (fault, alarm, tell) => {
      if (told.has(fault)) return;
      told.add(fault);
      tell?.(alarm);
    },
    end: (fault) => void told.delete(fault),
    goesOn: (kind, name) => kinds.get(kind)?.has(name) === true,
    goOn: (kind, names) => {
      const before = kinds.get(kind);
      kinds.set(kind, new Set(names));
      return names.filter((name) => before?.has(name) !== true);
    },
  };
}
