import type { LabelFilter } from "../../engine/usage/meter-question.ts";

/** Conditions on a text that all must hold: those on labels, and parts of a text in any case. */
export interface TextCondition extends Omit<LabelFilter, "and" | "or"> {
  readonly and?: readonly TextCondition[];
  readonly or?: readonly TextCondition[];
  /** One of these is a part of the text, ignoring case. */
  readonly parts?: readonly string[];
  readonly exists?: boolean;
}

type Check = (text: string, operand: string) => boolean;

const CHECKS: readonly (readonly [keyof TextCondition, Check])[] = [
  ["eq", (text, operand) => text === operand],
  ["ne", (text, operand) => text !== operand],
  ["gt", (text, operand) => text > operand],
  ["gte", (text, operand) => text >= operand],
  ["lt", (text, operand) => text < operand],
  ["lte", (text, operand) => text <= operand],
  ["like", (text, operand) => isLike(text, operand)],
  ["nlike", (text, operand) => !isLike(text, operand)],
  ["ilike", (text, operand) => isLike(text.toLowerCase(), operand.toLowerCase())],
  ["nilike", (text, operand) => !isLike(text.toLowerCase(), operand.toLowerCase())],
];

/** Whether a text fits; no condition always does, and what is absent fits only conditions that exclude a text. */
export function matchesText(condition: TextCondition | undefined, text: string | null): boolean {
  if (condition === undefined) return true;
  const { exists, parts, in: within, nin, and, or } = condition;
  if (exists !== undefined && exists !== (text !== null)) return false;
  const value = text ?? "";
  for (const [operator, holds] of CHECKS) {
    const operand = Object.hasOwn(condition, operator) ? condition[operator] : undefined;
    if (typeof operand === "string" && !holds(value, operand)) return false;
  }
  const lower = value.toLowerCase();
  return (
    (parts === undefined || parts.some((part) => lower.includes(part.toLowerCase()))) &&
    (within === undefined || within.includes(value)) &&
    (nin === undefined || !nin.includes(value)) &&
    (and === undefined || and.every((each) => matchesText(each, text))) &&
    (or === undefined || or.some((each) => matchesText(each, text)))
  );
}

/** SQL's LIKE: `%` is any text, `_` one character. Without recursion, so that no pattern takes long. */
function isLike(text: string, pattern: string): boolean {
  let [at, place, star, resume] = [0, 0, -1, 0];
  while (at < text.length) {
    if (pattern[place] === "%") {
      star = place++;
      resume = at;
    } else if (place < pattern.length && (pattern[place] === "_" || pattern[place] === text[at])) {
      at += 1;
      place += 1;
    } else if (star === -1) {
      return false;
    } else {
      place = star + 1;
      at = ++resume;
    }
  }
  while (pattern[place] === "%") place += 1;
  return place === pattern.length;
}
