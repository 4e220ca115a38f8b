import { MeterbookError } from "../../core/errors.ts";
import { limits } from "../../engine/limits.ts";
import type { Customer } from "../../engine/registry/customer.ts";
import type { Backend, Page, PageQuery } from "../backend.ts";
import { matchesText, type TextCondition } from "./text-condition.ts";
import { subjectsAt } from "./customer-wire.ts";

/** What a list of customers may be narrowed to and sorted by. */
export interface CustomerListing extends PageQuery {
  readonly key?: TextCondition;
  readonly name?: TextCondition;
  readonly primaryEmail?: TextCondition;
  /** Holds when one of a customer's subjects fits. */
  readonly subject?: TextCondition;
  readonly sortBy: "id" | "name" | "createdAt";
  readonly descending: boolean;
  readonly includeDeleted: boolean;
}

/**
 * A page of customers. In the order of ids and without a condition the store pages; otherwise all are read, up to a
 * bound that is told: METER_REQUEST_INVALID.
 */
export async function listCustomers(backend: Backend, listing: CustomerListing, now: number): Promise<Page<Customer>> {
  const { page, pageSize, key, name, primaryEmail, subject, sortBy, descending, includeDeleted } = listing;
  const isPlain = [key, name, primaryEmail, subject].every((condition) => condition === undefined);
  if (isPlain && sortBy === "id" && !descending) return backend.listCustomers({ page, pageSize, includeDeleted });
  const all = await everyCustomer(backend, includeDeleted);
  const fitting = all.filter(
    (customer) =>
      matchesText(key, customer.key) &&
      matchesText(name, customer.name) &&
      matchesText(primaryEmail, customer.primaryEmail) &&
      (subject === undefined || subjectsAt(customer, now).some((each) => matchesText(subject, each))),
  );
  const sorted = fitting.toSorted((one, other) => compare(one[sortBy], other[sortBy]) || compare(one.id, other.id));
  const ordered = descending ? sorted.toReversed() : sorted;
  return { items: ordered.slice((page - 1) * pageSize, page * pageSize), total: fitting.length };
}

/** All customers, deleted ones on demand. METER_REQUEST_INVALID where there are more than one call may read. */
export async function everyCustomer(backend: Backend, includeDeleted: boolean): Promise<readonly Customer[]> {
  const found: Customer[] = [];
  for (let page = 1; ; page += 1) {
    const { items, total } = await backend.listCustomers({ page, pageSize: limits.openmeterPageMax, includeDeleted });
    if (total > limits.openmeterCustomersReadMax) {
      throw new MeterbookError("METER_REQUEST_INVALID", `There are ${total} customers: too many to filter or sort.`, {
        remedy: `Ask without filters, or by id. The bound is ${limits.openmeterCustomersReadMax}.`,
      });
    }
    found.push(...items);
    if (items.length === 0 || found.length >= total) return found;
  }
}

/** By code units, or as numbers. */
function compare(one: string | number, other: string | number): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
