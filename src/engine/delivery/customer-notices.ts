import type { CustomerMapping, CustomerNotice, Store } from "../ports.ts";

/**
 * Takes what the biller tells of a customer. Such notices come late, twice and in any order, so none makes a mapping: a
 * company whose payer may be another now is marked, and the biller is asked for it before anything more is sent for it.
 */
export async function learnOfCustomer(store: Store, notice: CustomerNotice, now: number): Promise<void> {
  const doubtful = (await concerned(store, notice)).filter((mapping) => !agrees(mapping, notice));
  if (doubtful.length === 0) return;
  const claimants = (company: string): readonly string[] =>
    notice.change !== "deleted" && notice.company === company ? [notice.customer] : [];
  await store.putCustomerMappings(doubtful.map(({ company }) => inDoubt(company, claimants(company), now)));
}

/**
 * A mapping that says that the biller must be asked at once, and who says to be the one. What was read before `now` does
 * not replace it.
 */
function inDoubt(company: string, customers: readonly string[], now: number): CustomerMapping {
  return { company, state: "missing", customers, checkedAt: now, misses: 0 };
}

/** Mappings of the companies that the notice names, and of any other that has this customer by an older word. */
async function concerned(
  store: Store,
  { company, formerCompany, customer }: CustomerNotice,
): Promise<readonly CustomerMapping[]> {
  const all = await store.customerMappings();
  const named = [company, formerCompany].filter((name) => name !== null);
  const found = all.filter((mapping) => named.includes(mapping.company) || mapping.customers.includes(customer));
  const known = new Set(found.map((mapping) => mapping.company));
  const unknown = named.filter((name) => !known.has(name)).map((name) => inDoubt(name, [], 0));
  return [...found, ...unknown];
}

/** Whether the notice changes nothing of what is known of a company. */
function agrees(mapping: CustomerMapping, { change, company, customer }: CustomerNotice): boolean {
  const isListed =
    mapping.customers.includes(customer) && (mapping.state === "mapped" || mapping.state === "ambiguous");
  if (change === "deleted") return !isListed;
  return isListed === (mapping.company === company);
}
