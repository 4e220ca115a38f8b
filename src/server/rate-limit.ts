import { limits } from "../engine/limits.ts";

/** So much a second, and so much at once after a pause. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

interface Allowance {
  left: number;
  at: number;
}

/**
 * Token buckets by caller. What is used up comes back with time; a charge that is only known afterwards may go below
 * nothing, and is then waited for. Remembers a bounded number of callers: beyond it the one who was quiet longest begins
 * anew, with a full allowance.
 */
export class RateLimits {
  readonly #allowances = new Map<string, Allowance>();

  /** Milliseconds to wait; 0 = it may, and `cost` is taken. */
  take(caller: string, rate: Rate, cost: number, now: number): number {
    const allowance = this.#present(caller, rate, now);
    // What costs more than the whole burst may go when nothing is owed, and is owed then.
    if (allowance.left >= Math.min(cost, rate.burst)) {
      allowance.left -= cost;
      return 0;
    }
    return Math.ceil(((Math.min(cost, rate.burst) - allowance.left) / rate.perSecond) * 1_000);
  }

  /** Takes what was used already. */
  charge(caller: string, rate: Rate, cost: number, now: number): void {
    this.#present(caller, rate, now).left -= cost;
  }

  /** How many callers are remembered. */
  get size(): number {
    return this.#allowances.size;
  }

  #present(caller: string, { perSecond, burst }: Rate, now: number): Allowance {
    const known = this.#allowances.get(caller);
    const allowance = known ?? { left: burst, at: now };
    // A clock that was set back gives nothing and takes nothing.
    const passedMs = Math.max(0, now - allowance.at);
    allowance.left = Math.min(burst, allowance.left + (passedMs / 1_000) * perSecond);
    allowance.at = now;
    if (known !== undefined) this.#allowances.delete(caller);
    this.#allowances.set(caller, allowance);
    if (this.#allowances.size > limits.rateCallersMax) {
      const oldest = this.#allowances.keys().next();
      if (oldest.done !== true) this.#allowances.delete(oldest.value);
    }
    return allowance;
  }
}
