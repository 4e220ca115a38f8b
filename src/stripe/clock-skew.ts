import { limits } from "../engine/limits.ts";

/** How far this machine's clock is from the biller's, by the Date headers of its answers. */
export interface ClockSkew {
  /** Takes one answer: its Date header, and when the call was sent and answered by our clock, milliseconds UTC. */
  measure(dateHeader: unknown, sentAt: number, answeredAt: number): void;
  /** A sentence when nothing may be sent, null while the clocks agree. */
  complaint(): string | null;
}

/** Calls `onSkewed` when the difference becomes too large, once until the clocks agree again. */
export function clockSkew(onSkewed: (sentence: string) => void): ClockSkew {
  let complaint: string | null = null;
  return {
    measure(dateHeader, sentAt, answeredAt) {
      const theirs = typeof dateHeader === "string" ? Date.parse(dateHeader) : Number.NaN;
      if (Number.isNaN(theirs)) return;
      const skewMs = skewOf(theirs, sentAt, answeredAt);
      const hadComplaint = complaint !== null;
      complaint = Math.abs(skewMs) > limits.clockSkewMaxMs ? sentenceOf(skewMs) : null;
      if (complaint !== null && !hadComplaint) onSkewed(complaint);
    },
    complaint: () => complaint,
  };
}

/** The smallest difference that explains the answer: the header has whole seconds, and the call took its time. */
function skewOf(theirs: number, sentAt: number, answeredAt: number): number {
  if (theirs > answeredAt) return answeredAt - theirs;
  return Math.max(0, sentAt - (theirs + HEADER_STEP_MS));
}

const HEADER_STEP_MS = 1_000;

function sentenceOf(skewMs: number): string {
  const seconds = Math.round(Math.abs(skewMs) / 1_000);
  const side = skewMs > 0 ? "ahead of" : "behind";
  return `This machine's clock is ${seconds} s ${side} Stripe's; nothing is sent until it is set.`;
}
