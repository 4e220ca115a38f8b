import type { Catalog } from "../../core/catalog.ts";
import { MeterbookError } from "../../core/errors.ts";
import { ownMember } from "../../core/own-member.ts";
import { groupLabels, SUBJECT_LABEL } from "../../core/usage.ts";
import type { StoreView } from "../ports.ts";
import { knownLabels, meterNamed, unknownLabel } from "./judged-question.ts";
import { NO_TURNS } from "./owner-turns.ts";
import { readUsage } from "./usage-reading.ts";
import { wholeSpans } from "./usage-spans.ts";

/** Which texts of a label are asked for: those of usage between the bounds, to the width of a bucket. */
export interface LabelValuesQuery {
  readonly meter: string;
  /** A label of the meter, or `subject`. */
  readonly label: string;
  /** Half-open, milliseconds UTC. */
  readonly from: number;
  readonly to: number;
  readonly limit: number;
}

/**
 * The different texts of one label, in code unit order, at most `limit`. METER_NOT_FOUND for a meter that nobody knows,
 * METER_REQUEST_INVALID for a label that it never had, or an end that is not later than the begin.
 */
export async function labelValues(
  store: Pick<StoreView, "eachBucket" | "meterVersions">,
  catalog: Catalog,
  { meter: key, label, from, to, limit }: LabelValuesQuery,
): Promise<readonly string[]> {
  const meter = meterNamed(catalog, key);
  const known = await knownLabels(store, meter, [label]);
  const mistakes = [
    ...(known.has(label) ? [] : [unknownLabel("/label", label, known)]),
    ...(from < to ? [] : [{ pointer: "/to", message: "The end must be later than the begin: the span is half-open." }]),
  ];
  const [first] = mistakes;
  if (first !== undefined) throw new MeterbookError("METER_REQUEST_INVALID", first.message, { mistakes });
  const found = new Set<string>();
  const seen = new Set<string>();
  await readUsage(store, key, null, wholeSpans(from, to), NO_TURNS, ({ company, group, state }) => {
    if (state.events === 0) return;
    if (label === "subject") found.add(subjectOf(company, group));
    else if (!seen.has(group)) {
      seen.add(group);
      const text = ownMember(groupLabels(group), label);
      if (text !== undefined) found.add(text);
    }
  });
  return [...found].toSorted().slice(0, limit);
}

/** Whom a stored group is about: the company itself unless its labels name another. */
function subjectOf(company: string, group: string): string {
  return group.includes(SUBJECT_LABEL) ? (ownMember(groupLabels(group), SUBJECT_LABEL) ?? company) : company;
}
