import { memberOf } from "./attempts.ts";

/** Who pays for a tenant. */
export interface TenantCustomer {
  readonly id: string;
  readonly key: string | null;
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Subjects that it owns now. */
  readonly subjects: readonly string[];
}

/** The customer of an answer; null when it is none. */
export function customerOf(body: unknown): TenantCustomer | null {
  const id = memberOf(body, "id");
  const name = memberOf(body, "name");
  if (typeof id !== "string" || typeof name !== "string") return null;
  const key = memberOf(body, "key");
  const subjects = memberOf(body, "subjects");
  const metadata = memberOf(body, "metadata");
  const members = typeof metadata === "object" && metadata !== null ? Object.entries(metadata) : [];
  return {
    id,
    key: typeof key === "string" ? key : null,
    name,
    metadata: Object.fromEntries(members.filter((each): each is [string, string] => typeof each[1] === "string")),
    subjects: Array.isArray(subjects) ? subjects.filter((each) => typeof each === "string") : [],
  };
}
