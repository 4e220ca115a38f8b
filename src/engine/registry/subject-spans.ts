import type { Attribution, Customer, SubjectSpan } from "./customer.ts";

/** What a customer shall be found by from now on. */
export interface WantedNames {
  readonly key: string | null;
  readonly subjects: readonly string[];
}

/** The subjects that a customer has now. */
export function presentSubjects(spans: readonly SubjectSpan[]): readonly string[] {
  return spans.flatMap(({ subject, to }) => (to === null ? [subject] : []));
}

/**
 * The spans of a customer that is found by other names from `now` on. What is not wanted any more ends now, a key
 * included; what is new begins where the last one who had it ended, so that nobody's history moves; and what the customer
 * itself had last goes on.
 */
export function nextSpans(
  before: Pick<Customer, "key" | "subjects"> | null,
  wanted: WantedNames,
  attribution: Pick<Attribution, "endOf">,
  now: number,
): readonly SubjectSpan[] {
  const known = before?.subjects ?? [];
  const present = new Set(presentSubjects(known));
  const spans = known.map((span) =>
    span.to !== null || wanted.subjects.includes(span.subject) ? span : ended(span, now),
  );
  for (const subject of new Set(wanted.subjects)) {
    if (present.has(subject)) continue;
    const from = attribution.endOf(subject);
    const own = spans.findIndex((span) => span.subject === subject && span.to === from && from !== null);
    if (own === -1) spans.push({ subject, from, to: null });
    else spans[own] = { subject, from: spans[own]?.from ?? null, to: null };
  }
  const key = before?.key ?? null;
  const isGivenUp = key !== null && key !== wanted.key && !present.has(key) && !wanted.subjects.includes(key);
  if (isGivenUp) spans.push(ended({ subject: key, from: attribution.endOf(key), to: null }, now));
  return spans.filter(({ from, to }) => from === null || to === null || from < to);
}

function ended(span: SubjectSpan, now: number): SubjectSpan {
  return { ...span, to: Math.max(now, span.from ?? now) };
}
