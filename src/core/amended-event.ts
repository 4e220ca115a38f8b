import type { Amendment, LaterFact, UsageEvent, Voiding } from "./event.ts";
import { ownMembers } from "./own-member.ts";

/**
 * The event with a later fact: it fills what was open and never changes what is there. A fault of the payer goes once
 * the payer is known.
 */
export function completeEvent(event: UsageEvent, amendment: Amendment): UsageEvent {
  const [known, later] = [ownMembers(event), ownMembers(amendment)];
  const { faults: before, ...facts } = known;
  const company = known.company ?? later.company ?? null;
  const { company: payerFault, ...otherFaults } = ownMembers({ ...later.faults, ...before });
  const faults = company === null && payerFault !== undefined ? { ...otherFaults, company: payerFault } : otherFaults;
  return {
    ...facts,
    company,
    user: known.user ?? later.user ?? null,
    ...(known.metadata === undefined && later.metadata !== undefined ? { metadata: later.metadata } : {}),
    ...(known.aborted === undefined && later.aborted === true ? { aborted: true } : {}),
    ...(Object.keys(faults).length > 0 ? { faults } : {}),
  };
}

/** The operator's word that an event counts for nothing; null when there is none. */
export function voidingOf<Fact extends LaterFact>(facts: readonly Fact[]): Extract<Fact, Voiding> | null {
  return facts.find(isVoiding) ?? null;
}

/** Whether a later fact voids its event. */
export function isVoiding<Fact extends LaterFact>(fact: Fact): fact is Extract<Fact, Voiding> {
  return fact.closes === "void";
}
