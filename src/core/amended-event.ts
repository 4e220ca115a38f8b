import type { Amendment, LaterFact, UsageEvent, Voiding } from "./event.ts";

/**
 * The event with a later fact: it fills what was open and never changes what is there. A fault of the payer goes once
 * the payer is known.
 */
export function completeEvent(event: UsageEvent, amendment: Amendment): UsageEvent {
  const { faults: before, ...facts } = event;
  const company = event.company ?? amendment.company ?? null;
  const { company: payerFault, ...otherFaults } = { ...amendment.faults, ...before };
  const faults = company === null && payerFault !== undefined ? { ...otherFaults, company: payerFault } : otherFaults;
  return {
    ...facts,
    company,
    user: event.user ?? amendment.user ?? null,
    ...(event.metadata === undefined && amendment.metadata !== undefined ? { metadata: amendment.metadata } : {}),
    ...(event.aborted === undefined && amendment.aborted === true ? { aborted: true } : {}),
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
