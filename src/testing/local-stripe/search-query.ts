import type { CustomerFields } from "./state.ts";
import { refuse } from "./stripe-refusal.ts";

type Matcher = (fields: CustomerFields) => boolean;

/** `-metadata['k']:'v'` with either quote; the groups: not, field, metadata key, operator, value. */
const CLAUSE =
  /\s*(-?)(?:(email|name|phone|description)|metadata\[("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\])\s*([:~])\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|null(?![\w-]))/y;
const TEXT_FIELDS = ["email", "name", "phone", "description"] as const;
const JOINT = /\s+(AND|OR)\s+|\s*$/iy;

/** Reads a search query; refuses what it cannot read. */
export function parseSearchQuery(query: string): Matcher {
  const clauses: Matcher[] = [];
  const joints = new Set<string>();
  let position = 0;
  while (position < query.length || clauses.length === 0) {
    CLAUSE.lastIndex = position;
    const clause = CLAUSE.exec(query);
    JOINT.lastIndex = CLAUSE.lastIndex;
    const joint = clause === null ? null : JOINT.exec(query);
    if (clause === null || joint === null) {
      return refuseQuery(query);
    }
    clauses.push(clauseMatcher(clause));
    position = JOINT.lastIndex;
    const word = joint[1]?.toUpperCase();
    if (word === undefined) {
      break;
    }
    joints.add(word);
    if (position === query.length || joints.size > 1) {
      return refuseQuery(query);
    }
  }
  return joints.has("OR")
    ? (fields) => clauses.some((clause) => clause(fields))
    : (fields) => clauses.every((clause) => clause(fields));
}

function clauseMatcher([, not, field, key, operator, value]: RegExpExecArray): Matcher {
  const read = fieldReader(field, key);
  const wanted = value === undefined || value === "null" ? null : unquote(value).toLowerCase();
  const test = (fields: CustomerFields): boolean => {
    const found = read(fields)?.toLowerCase() ?? null;
    return operator === "~" && wanted !== null ? (found?.includes(wanted) ?? false) : found === wanted;
  };
  return not === "-" ? (fields) => !test(fields) : test;
}

function fieldReader(field: string | undefined, key: string | undefined): (fields: CustomerFields) => string | null {
  if (key !== undefined) {
    const name = unquote(key);
    return ({ metadata }) => (Object.hasOwn(metadata, name) ? (metadata[name] ?? null) : null);
  }
  const textField = TEXT_FIELDS.find((each) => each === field) ?? "description";
  return (fields) => fields[textField];
}

function unquote(text: string): string {
  return text.slice(1, -1).replaceAll(/\\(.)/g, "$1");
}

function refuseQuery(query: string): never {
  return refuse("customer_search.bad_query", {
    message: `We were unable to parse your search query: ${query}`,
    param: "query",
  });
}
