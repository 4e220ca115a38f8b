import { afterEach, beforeEach } from "vitest";

/**
 * What a pollution of Object.prototype leaves behind, in every test of the hardened run. Each name is one that clients
 * or operators choose: whoever looks it up without asking whether it is an object's own finds usage that nobody sent.
 * They are writable, as an attacker's are, so that assignments of other people's code go on working.
 */
export const POISON: Readonly<Record<string, unknown>> = {
  poisoned: "yes",
  // Companies, meters, groups, as keys of maps.
  acme: "999",
  globex: { poisoned: true },
  chat_tokens: "999",
  tokens: "999",
  model: "poisoned",
  region: "poisoned",
  // Parameters of the query, fields of bodies and metadata.
  company_id: "poisoned",
  words: "999",
  n: "999",
  customer: "poisoned",
  // Members that only some variants of a union have, and that are optional in questions to the store.
  reason: "poisoned",
  outcome: { kind: "accepted", requestId: null },
  rowId: 1,
  timestampBefore: 4e15,
  requestId: "poisoned",
  reportAs: "poisoned",
  final: true,
  late: "carry",
  // Names within the database's packed members.
  qh: { poisoned: "yes" },
  qb: { poisoned: "yes" },
  sb: { poisoned: "yes" },
};

/**
 * Inherited names that loops see, but where configurations are read: zod takes them for keys of the file, and refuses it. Header
 * names are not among them: Node itself collects headers in an object with a prototype.
 */
const isSeenByLoops = (file: string): boolean => !/\/test\/(config|hardening|runtime|server)\//.test(file);

const everyObject: object = Object.prototype;

// During the tests only: vitest, fast-check and others walk over inherited names while they are loaded.
beforeEach(({ task }) => {
  const enumerable = isSeenByLoops(task.file.filepath);
  for (const [name, value] of Object.entries(POISON))
    Object.defineProperty(everyObject, name, { value, writable: true, enumerable, configurable: true });
});
afterEach(() => {
  for (const name of Object.keys(POISON)) Reflect.deleteProperty(everyObject, name);
});
