import type { HoldReason, UsageEvent } from "./event.ts";
import { ownMember } from "./own-member.ts";

/**
 * Why a text cannot identify a company, user or event; null when it can. Refused are the empty text, more than
 * `lengthMax` UTF-16 units, control characters and lone surrogates: stores treat those differently, and one that
 * refuses later breaks replay. Nothing is folded or trimmed: `A`, `a` and `a ` are three identities.
 */
export function checkIdentifier(text: string, lengthMax: number = 256): HoldReason | null {
  if (text.length === 0 || text.length > lengthMax || unclean.test(text)) return "bad_identifier";
  return null;
}

// With the u flag a surrogate class matches lone surrogates only.
const unclean = /[\p{Cc}\p{Cs}]/u;

/**
 * Whether two events of one identity say the same: then the second is a duplicate, else a conflict. When an event was
 * recorded does not matter, nor does a time that its sender did not state: a job that tracks its rows again says nothing new.
 * Nor does who pays for an event with a subject: that was found out here, and may have become another meanwhile.
 */
export function isSameContent(a: UsageEvent, b: UsageEvent): boolean {
  const isStated = [a, b].some((event) => ownMember(event, "recordedAt") !== undefined);
  return statement(a, isStated) === statement(b, isStated);
}

/** What the sender himself said. */
function statement(event: UsageEvent, isTimeStated: boolean): string {
  // An operator who corrects an event may state its payer.
  const isPayerFound = ownMember(event, "subject") !== undefined && ownMember(event, "corrects") === undefined;
  return canonicalEvent({
    ...event,
    ...(isTimeStated ? {} : { time: 0 }),
    ...(isPayerFound ? { company: null } : {}),
  });
}

/** The content of an event as one text, keys sorted; without when it was recorded. */
export function canonicalEvent(event: UsageEvent): string {
  const { recordedAt: _recordedAt, ...content } = event;
  return JSON.stringify(content, sortedKeys);
}

function sortedKeys(_name: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const sorted = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted);
}
