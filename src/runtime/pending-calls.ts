import { MeterbookError, type ErrorCode } from "../core/errors.ts";
import { systemClock } from "./system.ts";

export interface PendingCallsOptions {
  /** Calls under way; one more is refused with METER_SERVER_BUSY. */
  readonly callsMax: number;
  /** Told when the first one begins to wait and when nobody waits any more. */
  readonly onWaiting: (isAnyoneWaiting: boolean) => void;
}

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** Calls that another thread has not answered yet: bounded in number and in time, and none of them waits for ever. */
export class PendingCalls {
  readonly #options: PendingCallsOptions;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  constructor(options: PendingCallsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /**
   * `send` gets the call's number and until when somebody waits for it, and says whether it was sent. METER_SERVER_BUSY
   * when it was not, or is late.
   */
  ask(send: (call: number, until: number) => boolean, timeoutMs: number): Promise<unknown> {
    if (this.#waiting.size >= this.#options.callsMax)
      return Promise.reject(busyError("Too many calls are under way; nothing of this one was begun."));
    const call = ++this.#last;
    return new Promise((resolve, reject) => {
      const late = (): void => this.fail(call, busyError(`The call was not answered within ${timeoutMs} ms.`));
      this.#waiting.set(call, { resolve, reject, timer: setTimeout(late, timeoutMs) });
      if (this.#waiting.size === 1) this.#options.onWaiting(true);
      try {
        if (!send(call, systemClock.now() + timeoutMs))
          this.fail(call, busyError("The store's thread is starting; nothing of the call was begun."));
      } catch (error) {
        this.fail(call, error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  /** Nobody may wait any more: the call was late. */
  answer(call: number, answer: unknown): void {
    this.#take(call)?.resolve(answer);
  }

  fail(call: number, error: Error): void {
    this.#take(call)?.reject(error);
  }

  failAll(sentence: string): void {
    for (const call of this.#waiting.keys()) this.fail(call, busyError(sentence));
  }

  #take(call: number): Waiting | undefined {
    const waiting = this.#waiting.get(call);
    if (waiting === undefined) return undefined;
    clearTimeout(waiting.timer);
    this.#waiting.delete(call);
    if (this.#waiting.size === 0) this.#options.onWaiting(false);
    return waiting;
  }
}

/** What a caller is told that may make the call again. */
export function busyError(sentence: string): MeterbookError {
  return new MeterbookError("METER_SERVER_BUSY" satisfies ErrorCode, sentence, {
    remedy: "Make the call again; events with the same source and id are stored once.",
  });
}
