import type { Combination } from "./all-pairs.ts";

/** What is combined: what Stripe or the way to it does, where a reporter dies, how many there are, how calls arrive, and the clock. */
export const FACTORS = {
  fault: [
    "200",
    "connection refused",
    "reset before it is counted",
    "reset after it is counted",
    "time-out after it is counted",
    "400 for good",
    "400 already exists",
    "401",
    "403",
    "409",
    "429",
    "429 with Retry-After",
    "500 that is kept",
    "503",
    "200 with another body, counted",
    "200 with another body, not counted",
    "redirect",
    "redirect with a page",
    "TLS failure",
    "slow drip",
  ],
  /** Of the reporter that makes the first call for the struck row. */
  crash: ["none", "before it sends", "after it sent", "after the answer", "during the mark"],
  reporters: ["1", "2"],
  order: ["in order", "reordered", "duplicated"],
  /** `set back` and `25 h ahead` are a wrong clock of ours that is set right later; the others are time that passes. */
  clock: ["right", "set back 1 h", "25 h ahead", "25 h pass", "36 days pass"],
} as const;

export type Case = Combination<typeof FACTORS>;
export type FaultName = Case["fault"];
export type CrashPoint = Case["crash"];
export type ArrivalOrder = Case["order"];

/** How a test says a combination. */
export function nameOf({ fault, crash, reporters, order, clock }: Case): string {
  return `${fault} | crash: ${crash} | reporters: ${reporters} | ${order} | clock: ${clock}`;
}

/** Faults that refuse the key: all sending stops. */
export function refusesKey(fault: FaultName): fault is "401" | "403" {
  return fault === "401" || fault === "403";
}
