import { limits } from "../limits.ts";
import type { RegisterEntry, StoreView } from "../ports.ts";
import type { Attribution, Customer, SubjectSpan } from "./customer.ts";
import { customerOf } from "./customer-entry.ts";

type CustomerView = Pick<StoreView, "listEntries" | "registerRevision">;

/** Who pays for what, from all customers that the store has. */
export function loadAttribution(store: CustomerView): Promise<Attribution> {
  return newestAttribution(store, new CustomerBook());
}

/**
 * The given attribution, brought up to date with the store's customers: only those that changed since are read. What
 * loadAttribution gave is changed in place and given back; anything else is left alone and made anew.
 */
export async function newestAttribution(store: CustomerView, known: Attribution): Promise<Attribution> {
  const revision = await store.registerRevision("customer");
  if (known.revision === revision) return known;
  const book = known instanceof CustomerBook ? known : new CustomerBook();
  const query = { kind: "customer", includeDeleted: true, changedAfter: book.revision } as const;
  const changed: RegisterEntry[] = [];
  for (let after: string | undefined; ;) {
    const limit = limits.registerPageMax;
    const page = await store.listEntries({ ...query, ...(after === undefined ? {} : { after }), limit });
    changed.push(...page);
    after = page.at(-1)?.id;
    if (page.length < limit) break;
  }
  // In one go, so that nobody sees half of a change.
  for (const entry of changed) book.put(customerOf(entry));
  book.revision = Math.max(book.revision, revision);
  return book;
}

/** Gives the newest attribution each time, and reads only what changed since the last one. */
export function attributionCache(store: CustomerView): () => Promise<Attribution> {
  let newest: Promise<Attribution> = Promise.resolve(new CustomerBook());
  return () => {
    const known = newest;
    newest = known.then(
      (book) => newestAttribution(store, book),
      () => loadAttribution(store),
    );
    return newest;
  };
}

/** A customer's right to a name, for a span of event time. */
interface Title {
  readonly customer: Customer;
  readonly from: number;
  readonly to: number;
}

/** All customers, by id and by what is theirs. */
class CustomerBook implements Attribution {
  revision = 0;
  private readonly byId = new Map<string, Customer>();
  private readonly idByKey = new Map<string, string>();
  /** By subject: who has or had it. */
  private readonly titles = new Map<string, readonly Title[]>();
  private sorted: readonly Customer[] | null = [];

  put(customer: Customer): void {
    const before = this.byId.get(customer.id);
    if (before !== undefined) this.remove(before);
    this.byId.set(customer.id, customer);
    if (customer.key !== null && customer.deletedAt === null) this.idByKey.set(customer.key, customer.id);
    for (const subject of namesOf(customer)) {
      const others = this.titles.get(subject) ?? [];
      this.titles.set(subject, [...others, ...titlesTo(subject, customer)]);
    }
    this.sorted = null;
  }

  companyOf(subject: string, time: number): string {
    const owner = this.ownerOf(subject, time);
    return owner === null ? subject : (owner.key ?? owner.id);
  }

  // The company is who was found to pay when the event came; only where that is the subject itself, nobody was found.
  customerOf(company: string, _subject: string, time: number): Customer | null {
    return this.ownerOf(company, time);
  }

  companiesOf(customer: Customer): readonly string[] {
    return [...namesOf(customer)];
  }

  turnsOf(company: string): readonly number[] {
    const bounds = (this.titles.get(company) ?? []).flatMap(({ from, to }) => [from, to]).filter(Number.isFinite);
    return [...new Set(bounds)].toSorted((a, b) => a - b);
  }

  find(idOrKey: string): Customer | null {
    return this.byId.get(this.idByKey.get(idOrKey) ?? idOrKey) ?? null;
  }

  customers(): readonly Customer[] {
    this.sorted ??= [...this.byId.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
    return this.sorted;
  }

  endOf(subject: string): number | null {
    const ends = (this.titles.get(subject) ?? []).map(({ to }) => to).filter((to) => to !== Infinity);
    return ends.length === 0 ? null : Math.max(...ends);
  }

  private ownerOf(subject: string, time: number): Customer | null {
    const titles = this.titles.get(subject);
    if (titles === undefined) return null;
    let found: Title | null = null;
    for (const title of titles) {
      if (time < title.from || time >= title.to) continue;
      // A past owner's time stays its own, whatever a later one states, or has by its key.
      if (found === null || title.to < found.to) found = title;
    }
    return found?.customer ?? null;
  }

  private remove(customer: Customer): void {
    if (customer.key !== null && this.idByKey.get(customer.key) === customer.id) this.idByKey.delete(customer.key);
    for (const subject of namesOf(customer)) {
      const others = (this.titles.get(subject) ?? []).filter((title) => title.customer.id !== customer.id);
      if (others.length === 0) this.titles.delete(subject);
      else this.titles.set(subject, others);
    }
  }
}

function namesOf({ id, key, subjects }: Customer): ReadonlySet<string> {
  return new Set([...(key === null ? [] : [key]), id, ...subjects.map(({ subject }) => subject)]);
}

function titlesTo(subject: string, customer: Customer): readonly Title[] {
  const { id, key, subjects, deletedAt } = customer;
  const spans: readonly SubjectSpan[] = subjects.filter((span) => span.subject === subject);
  const titles = spans.map(({ from, to }) => ({ customer, from: from ?? -Infinity, to: to ?? Infinity }));
  const isOwnName = subject === id || (subject === key && deletedAt === null);
  return isOwnName ? [...titles, { customer, from: -Infinity, to: Infinity }] : titles;
}
