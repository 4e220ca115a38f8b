import { ownMembers } from "../../core/own-member.ts";
import { limits } from "../limits.ts";
import type { RegisterChange, RegisterEntry, RegisterOutcome } from "../ports.ts";
import type { Customer, CustomerDraft } from "./customer.ts";
import { customerBody, customerNames, customerOf, KEY_NAME } from "./customer-entry.ts";
import { entryId } from "./entry-id.ts";
import {
  assertNoMistakes,
  changedMeanwhile,
  conflict,
  identifierMistakes,
  lengthMistakes,
  memberMistakes,
  notFound,
} from "./refusals.ts";
import type { RegistryTools } from "./registry-tools.ts";
import { nextSpans, presentSubjects } from "./subject-spans.ts";

/** Which customers are asked for, and which page of them; pages count from 1. */
export interface CustomerQuery {
  readonly page: number;
  readonly pageSize: number;
  /** Exactly this key. */
  readonly key?: string;
  /** A part of the name, ignoring case. */
  readonly namePart?: string;
  /** Has this subject now; its key is one. */
  readonly subject?: string;
  readonly includeDeleted: boolean;
}

/** A page of customers in the order in which they were made, and how many there are in all. */
export async function listCustomers(
  { attribution }: Pick<RegistryTools, "attribution">,
  query: CustomerQuery,
): Promise<{ readonly items: readonly Customer[]; readonly total: number }> {
  const { page, pageSize, key, namePart, subject, includeDeleted } = ownMembers(query);
  const part = namePart?.toLowerCase();
  const found = (await attribution())
    .customers()
    .filter(
      (customer) =>
        (includeDeleted || customer.deletedAt === null) &&
        (key === undefined || customer.key === key) &&
        (part === undefined || customer.name.toLowerCase().includes(part)) &&
        (subject === undefined || customer.key === subject || presentSubjects(customer.subjects).includes(subject)),
    );
  return { items: found.slice((page - 1) * pageSize, page * pageSize), total: found.length };
}

/** A customer by id or key; a deleted one by id. METER_NOT_FOUND. */
export async function getCustomer(
  { store }: { readonly store: Pick<RegistryTools["store"], "findEntry" | "getEntry"> },
  { idOrKey }: { readonly idOrKey: string },
): Promise<Customer> {
  return customerOf(await entryOf(store, idOrKey));
}

/** METER_REQUEST_INVALID; METER_CONFLICT where somebody else has its key or one of its subjects. */
export async function createCustomer(
  tools: RegistryTools,
  { draft, author }: { readonly draft: CustomerDraft; readonly author: string },
): Promise<Customer> {
  const wanted = wantedOf(draft, null);
  const now = tools.clock.now();
  const id = entryId(now, tools.random);
  const spans = nextSpans(null, wanted, await tools.attribution(), now);
  return changed(tools, [changeOf({ id, seen: null, author }, { ...wanted, subjects: spans })], now);
}

/** Who pays for what changes from now on; what was before stays. METER_NOT_FOUND, METER_REQUEST_INVALID, METER_CONFLICT. */
export async function updateCustomer(
  tools: RegistryTools,
  { idOrKey, draft, author }: { readonly idOrKey: string; readonly draft: CustomerDraft; readonly author: string },
): Promise<Customer> {
  for (let tries = 0; tries < limits.registerTriesMax; tries++) {
    const entry = await livingEntry(tools, idOrKey);
    const before = customerOf(entry);
    const wanted = wantedOf(draft, before);
    const now = tools.clock.now();
    const spans = nextSpans(before, wanted, await tools.attribution(), now);
    const change = changeOf({ id: entry.id, seen: entry.revision, author }, { ...wanted, subjects: spans });
    const outcome = await tools.store.changeEntries([change], now);
    if (!isOvertaken(outcome)) return entered(tools, outcome);
  }
  throw changedMeanwhile("customer");
}

/** Its subjects and its key are free from now on; what was used before stays its own. METER_NOT_FOUND. */
export async function deleteCustomer(
  tools: RegistryTools,
  { idOrKey, author }: { readonly idOrKey: string; readonly author: string },
): Promise<void> {
  for (let tries = 0; tries < limits.registerTriesMax; tries++) {
    const { id, revision: seen, body, ...entry } = await livingEntry(tools, idOrKey);
    const before = customerOf({ ...entry, id, body, revision: seen });
    const now = tools.clock.now();
    const subjects = nextSpans(before, { key: null, subjects: [] }, await tools.attribution(), now);
    // The body that it keeps says when its time ended.
    const last = { ...changeOf({ id, seen, author }, { ...before, subjects }), names: [] };
    const end: RegisterChange = { kind: "customer", id, seen: seen + 1, names: [], body: null, author };
    const outcome = await tools.store.changeEntries([last, end], now);
    if (!isOvertaken(outcome)) return;
  }
  throw changedMeanwhile("customer");
}

type CustomerParts = Parameters<typeof customerBody>[0];

/** What is wanted of a customer, all of it; `subjects` are those from now on. */
type WantedCustomer = Omit<CustomerParts, "subjects"> & { readonly subjects: readonly string[] };

function wantedOf(draft: CustomerDraft, before: Customer | null): WantedCustomer {
  const own = ownMembers(draft);
  const { key = before?.key ?? null, subjects = presentSubjects(before?.subjects ?? []) } = own;
  const { name, description = null, currency = null, primaryEmail = null, metadata = {}, extra = {} } = own;
  assertNoMistakes("The customer has a mistake", [
    ...(name === "" ? [{ pointer: "/name", message: "is empty" }] : []),
    ...lengthMistakes("/name", name, limits.entryNameLengthMax),
    ...lengthMistakes("/description", description, limits.entryTextLengthMax),
    ...memberMistakes("/metadata", metadata),
    ...(key === null ? [] : identifierMistakes("/key", key)),
    ...subjects.flatMap((subject, at) => identifierMistakes(`/subjects/${at}`, subject)),
    ...(subjects.length <= limits.customerSubjectsMax
      ? []
      : [{ pointer: "/subjects", message: `a customer has at most ${limits.customerSubjectsMax} subjects` }]),
  ]);
  return { key, subjects, name, description, currency, primaryEmail, metadata, extra };
}

function changeOf(
  { id, seen, author }: Pick<RegisterChange, "id" | "seen" | "author">,
  parts: CustomerParts,
): RegisterChange {
  const names = customerNames(id, parts.key, parts.subjects);
  return { kind: "customer", id, seen, names, body: customerBody(parts), author };
}

async function changed(tools: RegistryTools, changes: readonly RegisterChange[], now: number): Promise<Customer> {
  return entered(tools, await tools.store.changeEntries(changes, now));
}

/** The customer that a change made; METER_CONFLICT naming who has a name. */
async function entered({ store }: RegistryTools, outcome: RegisterOutcome): Promise<Customer> {
  if (outcome.done) {
    const [entry] = outcome.entries;
    if (entry !== undefined) return customerOf(entry);
    throw changedMeanwhile("customer");
  }
  const { name, holder } = ownMembers(outcome);
  if (name === undefined || holder === undefined) throw changedMeanwhile("customer");
  const other = await store.getEntry("customer", holder);
  const who = other === null ? holder : `${JSON.stringify(customerOf(other).name)} (${holder})`;
  const text = JSON.stringify(name.slice(name.indexOf(":") + 1));
  const message = name.startsWith(KEY_NAME)
    ? `The customer ${who} has the key ${text}.`
    : `The customer ${who} has the subject ${text}; a key is a subject too.`;
  throw conflict(message, "A subject is one customer's at a time: take it from that one first.");
}

function isOvertaken(outcome: RegisterOutcome): boolean {
  return !outcome.done && outcome.why !== "name_taken";
}

async function livingEntry({ store }: RegistryTools, idOrKey: string): Promise<RegisterEntry> {
  const entry = await entryOf(store, idOrKey);
  if (entry.deletedAt !== null) throw notFound("customer", idOrKey);
  return entry;
}

async function entryOf(
  store: Pick<RegistryTools["store"], "findEntry" | "getEntry">,
  idOrKey: string,
): Promise<RegisterEntry> {
  const entry =
    (await store.findEntry("customer", `${KEY_NAME}${idOrKey}`)) ?? (await store.getEntry("customer", idOrKey));
  if (entry === null) throw notFound("customer", idOrKey);
  return entry;
}
