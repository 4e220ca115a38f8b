import type { Json } from "../../core/event.ts";
import type { RegisterEntry } from "../ports.ts";
import type { Customer, SubjectSpan } from "./customer.ts";
import { isObject, membersOf, numberAt, objectAt, textAt, textsAt } from "./entry-body.ts";

/** The customer that a register entry holds. */
export function customerOf(entry: RegisterEntry): Customer {
  const body = membersOf(entry.body);
  const { id, createdAt, updatedAt, deletedAt } = entry;
  const spans = body["subjects"];
  return {
    id,
    key: textAt(body, "key"),
    name: textAt(body, "name") ?? "",
    description: textAt(body, "description"),
    currency: textAt(body, "currency"),
    primaryEmail: textAt(body, "primaryEmail"),
    metadata: textsAt(body, "metadata"),
    subjects: Array.isArray(spans) ? spans.flatMap(spanOf) : [],
    extra: objectAt(body, "extra"),
    createdAt,
    updatedAt,
    deletedAt,
  };
}

/** What a register entry keeps of a customer; id and times are the entry's own. */
export function customerBody(customer: Omit<Customer, "id" | "createdAt" | "updatedAt" | "deletedAt">): Json {
  const { key, name, description, currency, primaryEmail, metadata, subjects, extra } = customer;
  const spans = subjects.map(({ subject, from, to }) => ({ subject, from, to }));
  return { key, name, description, currency, primaryEmail, metadata, subjects: spans, extra };
}

/**
 * The names of a customer's entry. `key:` finds it; `subject:` keeps anybody else from the subject: its key and its id
 * are subjects of its own, so that usage sent under them is never somebody else's.
 */
export function customerNames(id: string, key: string | null, spans: readonly SubjectSpan[]): readonly string[] {
  const subjects = spans.flatMap(({ subject, to }) => (to === null ? [subject] : []));
  const owned = [...(key === null ? [] : [key]), ...subjects, id].map((subject) => `${SUBJECT_NAME}${subject}`);
  return [...new Set([...(key === null ? [] : [`${KEY_NAME}${key}`]), ...owned])];
}

export const KEY_NAME = "key:";
const SUBJECT_NAME = "subject:";

function spanOf(span: Json): SubjectSpan[] {
  if (!isObject(span)) return [];
  const members = membersOf(span);
  const subject = textAt(members, "subject");
  return subject === null ? [] : [{ subject, from: numberAt(members, "from"), to: numberAt(members, "to") }];
}
