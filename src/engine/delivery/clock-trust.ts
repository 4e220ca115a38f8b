import { limits } from "../limits.ts";
import type { Clock, Store, UsageReporter } from "../ports.ts";
import { closableWindows, nextEras } from "../outbox/report-windows.ts";

/**
 * Which instants of this machine's clock may decide: those close behind one at which the biller's own time agreed. A clock
 * that jumps in the middle of a round leaves that span, and the biller is asked again before anything more is decided.
 */
export interface ClockTrust {
  /** The last instant that agreed, milliseconds UTC; null = none was asked for. */
  agreedAt(): number | null;
  /** Whether an instant may decide. */
  covers(now: number): boolean;
  /** Whether the last asking found that this clock is wrong. */
  isWrong(): boolean;
  /**
   * Asks for the biller's time, unless that was done a moment ago (or `now`: in any case); answers why nothing may be decided
   * at present, or null. Throws METER_STRIPE_REFUSED or METER_STRIPE_UNREACHABLE.
   */
  renew(when?: "now"): Promise<string | null>;
}

/** Trusts no instant before `renew` was called. */
export function clockTrust(reporter: Pick<UsageReporter, "clockFault">, clock: Clock): ClockTrust {
  const { clockTrustMs, clockAskingsMax } = limits;
  let agreedAt: number | null = null;
  let isWrong = false;
  const isWithin = (now: number, ms: number): boolean => agreedAt !== null && now >= agreedAt && now - agreedAt <= ms;
  return {
    agreedAt: () => agreedAt,
    covers: (now) => isWithin(now, clockTrustMs),
    isWrong: () => isWrong,
    renew: async (when) => {
      if (when !== "now" && isWithin(clock.now(), clockTrustMs / 2)) return null;
      agreedAt = null;
      isWrong = false;
      for (let asked = 0; asked < clockAskingsMax; asked++) {
        const before = clock.now();
        const fault = await reporter.clockFault();
        isWrong = fault !== null;
        if (fault !== null) return fault;
        const after = clock.now();
        // A clock that jumps during the call agrees by its time before.
        if (after < before || after - before > clockTrustMs) continue;
        agreedAt = after;
        return null;
      }
      isWrong = true;
      return UNSTEADY;
    },
  };
}

const UNSTEADY =
  "This machine's clock jumped each time that Stripe was asked for the time; nothing is sent until it stands.";

/**
 * Whether a round has anything to decide by the clock. A clock that jumped would close windows before their time and call
 * usage too old for ever, so the biller's own time is asked for right before; rounds without such work ask nothing.
 */
export async function hasToDecide(
  store: Store,
  { windowMs, latenessMs }: { readonly windowMs: number; readonly latenessMs: number },
  now: number,
): Promise<boolean> {
  const eras = await nextEras(store, windowMs, now);
  if ((await closableWindows(store, eras, now, latenessMs, 1)).length > 0) return true;
  for (const state of ["pending", "sending"] as const)
    if ((await store.outbox({ state, limit: 1 })).length > 0) return true;
  // What is held may be given up, or be called too late for its invoice as soon as somebody pays for it.
  return (await store.outbox({ state: "held", final: false, limit: 1 })).length > 0;
}
