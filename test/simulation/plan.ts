import type { SeededRandom } from "../faults/seeded-random.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/**
 * Which faults a seed has, and how often. Each seed draws its own set (swarm testing): a run with all of them at once
 * hides what only a few together can do.
 */
export interface FaultPlan {
  readonly apps: number;
  readonly reporters: number;
  readonly store: "sqlite" | "memory";
  readonly crashRate: number;
  readonly freezeRate: number;
  readonly clockJumpRate: number;
  /** Chance per call to the biller of each kind of trouble. */
  readonly stripe: Readonly<Record<StripeTrouble, number>>;
  /** A span in which the biller cannot be reached at all, virtual milliseconds from the start; null = none. */
  readonly outage: { readonly from: number; readonly to: number } | null;
  /** Identifiers are forgotten 24 h after receipt, as Stripe may. */
  readonly forgets: boolean;
  readonly summaryLagMs: number;
  readonly duplicateRate: number;
  readonly lateRate: number;
  /** The last company's customer appears only after this. */
  readonly customerLateMs: number;
}

export const STRIPE_TROUBLES = [
  "lost_before",
  "lost_after",
  "server_error_before",
  "server_error_after",
  "rate_limit",
  "conflict",
  "truncated",
  "unauthorized",
] as const;
export type StripeTrouble = (typeof STRIPE_TROUBLES)[number];

/** How long faults happen; then all goes well, and everything must come right. */
export const TROUBLED_MS = 30 * HOUR;

export function planOf(random: SeededRandom): FaultPlan {
  const some = (rate: number): number => (random.next() < 0.5 ? random.next() * rate : 0);
  const stripe = Object.fromEntries(STRIPE_TROUBLES.map((kind) => [kind, some(0.25)]));
  const outageFrom = random.between(0, 21) * HOUR;
  return {
    apps: random.between(1, 4),
    reporters: random.between(1, 3),
    store: random.next() < 0.5 ? "sqlite" : "memory",
    crashRate: some(0.02),
    freezeRate: some(0.01),
    clockJumpRate: some(0.01),
    stripe: stripe as Record<StripeTrouble, number>,
    outage: random.next() < 0.3 ? { from: outageFrom, to: outageFrom + random.between(1, 61) * HOUR } : null,
    forgets: random.next() < 0.7,
    summaryLagMs: random.next() < 0.5 ? random.between(1, 91) * MINUTE : 0,
    duplicateRate: some(0.3),
    lateRate: some(0.3),
    customerLateMs: random.next() < 0.5 ? random.between(1, 41) * HOUR : 0,
  };
}
