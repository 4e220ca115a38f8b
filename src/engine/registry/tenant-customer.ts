import type { Attribution, Customer } from "./customer.ts";

/** Who pays for a tenant's usage at an instant: the customer that owns it as a subject, else the one with this key or id. */
export function customerOfTenant(attribution: Attribution, tenantId: string, time: number): Customer | null {
  const company = attribution.companyOf(tenantId, time);
  return attribution.customerOf(company, tenantId, time) ?? attribution.find(tenantId);
}
