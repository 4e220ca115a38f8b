import { runDue } from "./agenda.ts";
import type { LocalState } from "./state.ts";
import { deliverDue } from "./webhooks/delivery.ts";

/** How often, in real time, an automatic local Stripe looks for due work. */
const PULSE_MS = 100;

/** The one way out for webhooks: runs never overlap. */
export interface Deliveries {
  /** Tries all that is due, after the run before has ended. Returns how many attempts were made. */
  run(): Promise<number>;
  /** Ends the pulse and the call that is on its way. Idempotent. */
  stop(): Promise<void>;
}

/** Starts the deliveries of one local Stripe; with a pulse they run by themselves. */
export function startDeliveries(state: LocalState, isAutomatic: boolean): Deliveries {
  const ending = new AbortController();
  let last: Promise<number> = Promise.resolve(0);
  const run = async (): Promise<number> => {
    // A run that failed was told to its caller; the next one begins anew.
    const before = last.catch(() => 0);
    last = before.then(async () => deliverDue(state, ending.signal));
    return last;
  };
  const pulse = isAutomatic ? setInterval(() => beat(), PULSE_MS).unref() : undefined;
  let isBeating = false;
  function beat(): void {
    if (!isBeating) {
      isBeating = true;
      runDue(state);
      void run().finally(() => {
        isBeating = false;
      });
    }
  }
  return {
    run,
    stop: async () => {
      clearInterval(pulse);
      ending.abort();
      await last.catch(() => 0);
    },
  };
}
