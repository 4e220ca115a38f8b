import type { Amendment, UsageEvent } from "./event.ts";

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
