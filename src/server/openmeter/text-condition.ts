import { labelTest } from "../../engine/usage/label-filter.ts";
import type { LabelFilter } from "../../engine/usage/meter-question.ts";

/** Conditions on a text that all must hold: those on labels, and two that lists have beside them. */
export interface TextCondition extends LabelFilter {
  /** One of these is a part of the text, ignoring case. */
  readonly parts?: readonly string[];
  readonly exists?: boolean;
}

/** Whether a text fits. No condition always does; what is absent fits as an empty text would. */
export function matchesText(condition: TextCondition | undefined, text: string | null): boolean {
  if (condition === undefined) return true;
  const { exists, parts, ...filter } = condition;
  if (exists !== undefined && exists !== (text !== null)) return false;
  const value = text ?? "";
  const lower = value.toLowerCase();
  return (parts === undefined || parts.some((part) => lower.includes(part.toLowerCase()))) && labelTest(filter)(value);
}
