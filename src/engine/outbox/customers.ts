import { limits } from "../limits.ts";
import type { Clock, CustomerAnswer, CustomerMapping, Store, UsageReporter } from "../ports.ts";

/** A reporter that can make the customer of a company that has none. */
export interface CustomerMaker {
  createCustomer(company: string): Promise<CustomerAnswer>;
}

export interface CustomerMapOptions {
  readonly store: Store;
  readonly reporter: UsageReporter & Partial<CustomerMaker>;
  readonly clock: Clock;
  /** What happens to a company without customer; `error` holds as `hold` does and is told. */
  readonly unmatched: "hold" | "create" | "error";
  /** Nothing is written, here or at the biller: for a dry run. */
  readonly readOnly: boolean;
}

/** Who pays for a company's usage at the biller. */
export interface CustomerMap {
  /** From the durable table; a miss is asked for, at most limits.customerQuestionsMax times a round. */
  resolve(company: string): Promise<CustomerAnswer>;
  /** Asks for those of these companies whose answer is out of date, longest unasked first, as far as the round's questions go. */
  ask(companies: readonly string[]): Promise<void>;
}

const LISTED_AT = "customers.listed_at";
const ACCOUNT = "customers.account";

/**
 * Opens the company → customer table, after reading the biller's full list when that is due: always the list before any
 * search, since search lags. A company that several customers claim is ambiguous, and nobody here chooses.
 */
export async function openCustomerMap(options: CustomerMapOptions): Promise<CustomerMap> {
  const { store, reporter, clock } = options;
  const account = await reporter.account();
  const isSameAccount = (await store.getNote(ACCOUNT)) === account;
  const stored = isSameAccount ? await store.customerMappings() : [];
  const known = new Map(stored.map((mapping) => [mapping.company, mapping]));
  const listedAt = Number((await store.getNote(LISTED_AT)) ?? Number.NaN);
  const age = clock.now() - listedAt;
  if (!isSameAccount || !(age >= 0 && age < limits.customerListEveryMs))
    await refresh(options, known, account, isSameAccount);
  const isKnown = (company: string): boolean => {
    const mapping = known.get(company);
    return mapping !== undefined && isBelieved(mapping, clock.now());
  };
  let questions = 0;
  const learn = async (company: string): Promise<void> => {
    questions += 1;
    const mapping = known.get(company);
    const askedAt = clock.now();
    const next = mappingAfter(mapping, company, await ask(options, company, mapping), clock.now());
    known.set(company, next);
    // Put in doubt while it was asked for: the answer may be of before.
    if (!options.readOnly && !(await putInDoubt(store, [company], askedAt)).has(company))
      await store.putCustomerMappings([next]);
  };
  return {
    resolve: async (company) => {
      if (!isKnown(company) && questions < limits.customerQuestionsMax) await learn(company);
      const mapping = known.get(company);
      return mapping === undefined ? { kind: "missing" } : answerOf(mapping);
    },
    ask: async (companies) => {
      const now = clock.now();
      const due = [...new Set(companies)]
        .filter((company) => !isKnown(company))
        .map((company) => ({ company, checkedAt: checkedBefore(known.get(company), now) }))
        .toSorted((a, b) => a.checkedAt - b.checkedAt);
      for (const { company } of due.slice(0, Math.max(0, limits.customerQuestionsMax - questions)))
        await learn(company);
    },
  };
}

/** When a company was last asked for; an instant to come was written under a wrong clock. */
function checkedBefore(mapping: CustomerMapping | undefined, now: number): number {
  return mapping === undefined || mapping.checkedAt > now ? NEVER : mapping.checkedAt;
}

function mappingAfter(
  before: CustomerMapping | undefined,
  company: string,
  found: CustomerAnswer,
  checkedAt: number,
): CustomerMapping {
  const fresh = mappingOf(company, found, checkedAt);
  if (found.kind !== "missing" && found.kind !== "deleted") return fresh;
  const misses = (before?.misses ?? 0) + 1;
  // What the list said of a deleted customer stays known while nothing better is.
  if (fresh.state === "missing" && before?.state === "deleted") return { ...before, checkedAt, misses };
  return { ...fresh, customers: fresh.state === "missing" ? claimants(before) : fresh.customers, misses };
}

async function ask(
  { reporter, unmatched, readOnly }: CustomerMapOptions,
  company: string,
  before: CustomerMapping | undefined,
): Promise<CustomerAnswer> {
  const found = await reporter.findCustomer(company);
  if (found.kind !== "missing" || unmatched !== "create" || readOnly) return found;
  // One that the biller told of and its search does not know yet: a second one would make the company ambiguous.
  if (claimants(before).length > 0) return found;
  return (await reporter.createCustomer?.(company)) ?? found;
}

/** Customers that a notice names for a company that was not found since. The full list is read long before they are given up. */
function claimants(mapping: CustomerMapping | undefined): readonly string[] {
  return mapping?.state === "missing" && mapping.misses < CLAIM_MISSES_MAX ? mapping.customers : [];
}

const CLAIM_MISSES_MAX = 6;

/** Reads the full list. A mapped company that it does not name any more has lost its customer. */
async function refresh(
  options: CustomerMapOptions,
  known: Map<string, CustomerMapping>,
  account: string,
  isSameAccount: boolean,
): Promise<void> {
  const { store, reporter, clock } = options;
  const startedAt = clock.now();
  const listed = new Map<string, Set<string>>();
  for await (const { company, customer, deleted } of reporter.customers()) {
    if (deleted) continue;
    const customers = listed.get(company) ?? new Set();
    listed.set(company, customers.add(customer));
  }
  const changed: CustomerMapping[] = [...listed].map(([company, customers]) => ({
    company,
    state: customers.size === 1 ? "mapped" : "ambiguous",
    customers: [...customers].toSorted(),
    checkedAt: startedAt,
    misses: 0,
  }));
  // Mappings of another account or mode say nothing here.
  const before = isSameAccount ? [...known.values()] : await store.customerMappings();
  for (const mapping of before) {
    // One that was checked while the list was read may be newer than the list.
    if (listed.has(mapping.company) || mapping.checkedAt > startedAt) continue;
    if (!isSameAccount) changed.push({ ...mapping, state: "missing", customers: [], checkedAt: NEVER, misses: 0 });
    else if (mapping.state === "mapped" || mapping.state === "ambiguous")
      changed.push({ ...mapping, state: "deleted", checkedAt: NEVER, misses: 0 });
  }
  for (const mapping of changed) known.set(mapping.company, mapping);
  if (options.readOnly) return;
  for (let start = 0; start < changed.length; start += limits.batchEventsMax) {
    const batch = changed.slice(start, start + limits.batchEventsMax);
    const doubtful = await putInDoubt(
      store,
      batch.map(({ company }) => company),
      startedAt,
    );
    await store.putCustomerMappings(batch.filter(({ company }) => !doubtful.has(company)));
  }
  await store.putNote(ACCOUNT, account);
  await store.putNote(LISTED_AT, String(startedAt));
}

/** To be asked for again at once. */
const NEVER = 0;

/** Those of these companies that the biller's own notices put in doubt at `since` or later: what was read before says nothing. */
async function putInDoubt(store: Store, companies: readonly string[], since: number): Promise<ReadonlySet<string>> {
  const mappings = await store.customerMappings(companies);
  return new Set(
    mappings.filter((mapping) => isInDoubt(mapping) && mapping.checkedAt >= since).map(({ company }) => company),
  );
}

/** Nobody was found, and nobody was asked: a notice, another account or the list says that it must be. */
function isInDoubt({ state, misses }: CustomerMapping): boolean {
  return misses === 0 && (state === "missing" || state === "deleted");
}

/** Found customers are believed until the list says otherwise; absent ones for a time that doubles with each miss. */
function isBelieved(mapping: CustomerMapping, now: number): boolean {
  const { state, checkedAt, misses } = mapping;
  if (state === "mapped" || state === "ambiguous") return true;
  if (isInDoubt(mapping)) return false;
  const believedMs = limits.missingCustomerMs * 2 ** Math.min(Math.max(0, misses - 1), 20);
  return now >= checkedAt && now - checkedAt < Math.min(believedMs, limits.missingCustomerMaxMs);
}

function answerOf({ state, customers }: CustomerMapping): CustomerAnswer {
  if (state === "missing") return { kind: state };
  if (state === "ambiguous") return { kind: state, customers };
  return { kind: state, customer: customers[0] ?? "" };
}

function mappingOf(company: string, answer: CustomerAnswer, checkedAt: number): CustomerMapping {
  return { company, state: answer.kind, customers: customersIn(answer), checkedAt, misses: 0 };
}

function customersIn(answer: CustomerAnswer): readonly string[] {
  if (answer.kind === "missing") return [];
  return answer.kind === "ambiguous" ? answer.customers : [answer.customer];
}
