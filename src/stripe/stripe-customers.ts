import { createHash } from "node:crypto";

import type { Stripe } from "stripe";

import { owns } from "../core/own-member.ts";
import { limits } from "../engine/limits.ts";
import type { Clock, CustomerAnswer } from "../engine/ports.ts";
import { failureOf } from "./report-answer.ts";
import type { StripeConnection } from "./stripe-connection.ts";

/** Where a customer's company id stands: in its metadata under a key, or its own id. */
export type CompanyIdAt = { readonly kind: "metadata"; readonly key: string } | { readonly kind: "customerId" };

export interface StripeCustomers {
  /** All customers that name a company, newest first. The list knows a new customer at once, unlike search. */
  list(): AsyncIterable<{ readonly company: string; readonly customer: string; readonly deleted: boolean }>;
  /** One company that the list did not name: the customers made since then, and search. */
  find(company: string): Promise<CustomerAnswer>;
  create(company: string): Promise<CustomerAnswer>;
}

/** Customers by company id. Two customers with one company id are answered as ambiguous, never chosen between. */
export function stripeCustomers(connection: StripeConnection, at: CompanyIdAt, clock: Clock): StripeCustomers {
  const { stripe, read } = connection;
  const recent = recentCustomers(connection, clock);
  let searchOffSince: number | null = null;

  async function search(key: string, company: string): Promise<Stripe.Customer[]> {
    const offMs = searchOffSince === null ? Infinity : clock.now() - searchOffSince;
    if (offMs >= 0 && offMs < limits.searchOffMs) return [];
    try {
      return (await stripe.customers.search({ query: searchQuery(key, company), limit: 100 })).data;
    } catch (error) {
      const { status, message } = failureOf(error);
      if (status !== 400) throw error;
      // Search does not exist for some accounts (India): the list, read again later, is then the only way. Any other 400
      // is about this one company's query.
      if (/not (available|supported|enabled)|unavailable/i.test(message)) searchOffSince = clock.now();
      return [];
    }
  }

  return {
    list: () => listed(connection, at, recent),
    find: (company) =>
      at.kind === "customerId"
        ? read(() => retrieved(stripe, company))
        : read(async () => {
            const candidates = [...(await recent.read()), ...(await search(at.key, company))];
            // The index may be old and ignores case: only what the object says now counts.
            const ids = candidates.filter((customer) => companyOf(customer, at) === company).map(({ id }) => id);
            return answerOf([...new Set(ids)].toSorted());
          }),
    create: (company) =>
      read(async () => {
        if (at.kind === "customerId") return { kind: "missing" };
        const made = await stripe.customers.create(
          { name: company, metadata: { [at.key]: company } },
          {
            idempotencyKey: `mbc_${createHash("sha256")
              .update(JSON.stringify([at.key, company]))
              .digest("hex")}`,
          },
        );
        recent.forget();
        return { kind: "mapped", customer: made.id };
      }),
  };
}

async function* listed(
  { stripe, read }: StripeConnection,
  at: CompanyIdAt,
  recent: RecentCustomers,
): AsyncGenerator<{ company: string; customer: string; deleted: boolean }> {
  recent.listStarts();
  const pages = stripe.customers.list({ limit: 100 })[Symbol.asyncIterator]();
  for (;;) {
    const next = await read(() => pages.next());
    if (next.done === true) return;
    const company = companyOf(next.value, at);
    if (company !== null) yield { company, customer: next.value.id, deleted: false };
  }
}

/** Customers made since the last full list, which search may not know yet (documented: up to a minute, an hour in outages). */
interface RecentCustomers {
  listStarts(): void;
  read(): Promise<readonly Stripe.Customer[]>;
  forget(): void;
}

function recentCustomers({ stripe }: StripeConnection, clock: Clock): RecentCustomers {
  let since = clock.now() - SEARCH_LAG_MS;
  let known: { readonly at: number; readonly customers: readonly Stripe.Customer[] } | null = null;
  return {
    listStarts: () => {
      since = clock.now() - OVERLAP_MS;
      known = null;
    },
    forget: () => {
      known = null;
    },
    read: async () => {
      const at = clock.now();
      // One answer serves all companies of a round.
      if (known !== null && at - known.at >= 0 && at - known.at < RECENT_MS) return known.customers;
      const customers: Stripe.Customer[] = [];
      for await (const customer of stripe.customers.list({ created: { gte: Math.floor(since / 1_000) }, limit: 100 }))
        customers.push(customer);
      known = { at, customers };
      return customers;
    },
  };
}

const SEARCH_LAG_MS = 3_600_000;
const OVERLAP_MS = 5 * 60_000;
const RECENT_MS = 10_000;

async function retrieved(stripe: Stripe, id: string): Promise<CustomerAnswer> {
  if (!/^cus_\w+$/.test(id)) return { kind: "missing" };
  try {
    const customer = await stripe.customers.retrieve(id);
    return owns(customer, "deleted") ? { kind: "deleted", customer: id } : { kind: "mapped", customer: id };
  } catch (error) {
    if (failureOf(error).status === 404) return { kind: "missing" };
    throw error;
  }
}

/** The company that a customer names; null = none. */
export function companyOf(
  customer: { readonly id: string; readonly metadata: object },
  at: CompanyIdAt,
): string | null {
  if (at.kind === "customerId") return customer.id;
  return companyIn(customer.metadata, at.key);
}

/** The company under a key of metadata, which may hold null or be absent. */
export function companyIn(metadata: object | null, key: string): string | null {
  const company = metadata !== null && owns(metadata, key) ? metadata[key] : null;
  return typeof company === "string" && company !== "" ? company : null;
}

function answerOf(customers: readonly string[]): CustomerAnswer {
  const [only] = customers;
  if (only === undefined) return { kind: "missing" };
  return customers.length === 1 ? { kind: "mapped", customer: only } : { kind: "ambiguous", customers };
}

/** Stripe's search language (docs.stripe.com/search): quotes and backslashes inside a quoted text are escaped. */
export function searchQuery(key: string, value: string): string {
  return `metadata[${quoted(key)}]:${quoted(value)}`;
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
