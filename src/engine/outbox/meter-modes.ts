import type { ErrorCode } from "../../core/errors.ts";
import type { MeterDefinition } from "../../core/meter.ts";
import { ownMembers } from "../../core/own-member.ts";
import type { MeterAnswer, Store } from "../ports.ts";

/** What the biller says of a meter, and whether that is how its usage was and shall be reported. */
export type MeterStanding = MeterAnswer | { readonly kind: "mismatch"; readonly reason: string };

/** How the biller adds up reports of a meter: all of them, or only the last of each hour or day. */
type AddsUp = "none" | "hour" | "day";

const NOTE = "report.modes";

/** Which meters of the biller fit what is configured, and what was reported to them before. */
export interface MeterModes {
  readonly standing: (reportAs: string) => Promise<MeterStanding>;
  /** Remembers how a meter adds up, before the first row that is made for it so. */
  readonly keep: (reportAs: string, keepsLast: "hour" | "day" | null) => Promise<void>;
}

/** Why nothing is sent to one of the biller's meters, in a sentence; null = nothing stands against it any more. */
export type OnMeterFault = (
  reportAs: string,
  fault: { readonly code: ErrorCode; readonly text: string } | null,
) => void;

/** `onFault` is called for each meter that is asked for. */
export async function openMeterModes(options: {
  readonly store: Pick<Store, "getNote" | "putNote">;
  readonly meter: (reportAs: string) => Promise<MeterAnswer>;
  readonly definitions: Iterable<MeterDefinition>;
  readonly onFault?: OnMeterFault;
}): Promise<MeterModes> {
  const { store, onFault } = options;
  const known = await knownModes(store);
  const wanted = new Map<string, AddsUp>();
  for (const definition of options.definitions) {
    const { reportAs, eventTimeWindow } = ownMembers(definition);
    if (eventTimeWindow !== undefined) wanted.set(reportAs, eventTimeWindow);
  }
  return {
    standing: async (reportAs) => {
      const answer = await options.meter(reportAs);
      if (answer.kind !== "ready") {
        onFault?.(reportAs, {
          code: "METER_STRIPE_METER_MISSING",
          text: `${answer.reason} Its usage is held until one fits.`,
        });
        return answer;
      }
      const reason = mismatchOf(reportAs, answer.keepsLast, wanted.get(reportAs), known[reportAs]);
      onFault?.(reportAs, reason === null ? null : { code: "METER_STRIPE_METER_MISMATCH", text: reason });
      return reason === null ? answer : { kind: "mismatch", reason };
    },
    keep: async (reportAs, keepsLast) => {
      const addsUp = keepsLast ?? "none";
      if (known[reportAs] === addsUp) return;
      known[reportAs] = addsUp;
      await store.putNote(NOTE, JSON.stringify(known));
    },
  };
}

/** How each of the biller's meters added up when it was first reported to. */
export async function knownModes(store: Pick<Store, "getNote">): Promise<Record<string, AddsUp>> {
  const modes: Record<string, AddsUp> = JSON.parse((await store.getNote(NOTE)) ?? "{}");
  // Without a prototype: a meter may be called as one of its members.
  return Object.assign(Object.create(null), modes);
}

/**
 * Why a meter must not be reported to: differences sent to one that keeps the last report would lose all others, totals sent
 * to one that adds up would bill them again and again. A sentence; null when it fits. What the configuration states
 * decides; without it, a meter must stay as it was when it was first reported to.
 */
function mismatchOf(
  reportAs: string,
  keepsLast: "hour" | "day" | null,
  wanted: AddsUp | undefined,
  known: AddsUp | undefined,
): string | null {
  const found = keepsLast ?? "none";
  const expected = wanted ?? known ?? found;
  if (found === expected) return null;
  const who = wanted === undefined ? "was reported to so far as" : "is configured as";
  return `Stripe's meter ${reportAs} has the event time window ${found}, but ${who} ${expected}; nothing is sent to it. Write eventTimeWindow: ${found} at the meter if that is meant.`;
}
