import { isFault, parseDecimal } from "../../core/decimal.ts";
import { ownMember } from "../../core/own-member.ts";
import type { LabelFilter } from "./meter-question.ts";

/** Whether a label's text passes. */
export type LabelTest = (text: string) => boolean;

/** Compiles a filter: every condition that it has must hold. One without conditions passes every text. */
export function labelTest(filter: LabelFilter): LabelTest {
  const tests: LabelTest[] = [];
  const add = <Name extends keyof LabelFilter>(
    name: Name,
    make: (wanted: NonNullable<LabelFilter[Name]>) => LabelTest,
  ): void => {
    const wanted = ownMember(filter, name);
    if (wanted !== undefined) tests.push(make(wanted));
  };
  add("eq", (wanted) => (text) => text === wanted);
  add("ne", (wanted) => (text) => text !== wanted);
  add("in", (wanted) => isAmong(wanted));
  add("nin", (wanted) => not(isAmong(wanted)));
  add("like", likeTest);
  add("nlike", (pattern) => not(likeTest(pattern)));
  add("ilike", (pattern) => ignoringCase(pattern));
  add("nilike", (pattern) => not(ignoringCase(pattern)));
  add("gt", (bound) => (text) => compare(text, bound) > 0);
  add("gte", (bound) => (text) => compare(text, bound) >= 0);
  add("lt", (bound) => (text) => compare(text, bound) < 0);
  add("lte", (bound) => (text) => compare(text, bound) <= 0);
  add("and", (parts) => every(parts.map(labelTest)));
  add("or", (parts) => some(parts.map(labelTest)));
  return every(tests);
}

/** How many conditions a filter has, those of its parts included. */
export function conditionCount(filter: LabelFilter): number {
  const parts = [...(ownMember(filter, "and") ?? []), ...(ownMember(filter, "or") ?? [])];
  return parts.reduce((sum, part) => sum + conditionCount(part), Object.keys(filter).length);
}

function every(tests: readonly LabelTest[]): LabelTest {
  return (text) => tests.every((test) => test(text));
}

function some(tests: readonly LabelTest[]): LabelTest {
  return (text) => tests.some((test) => test(text));
}

function not(test: LabelTest): LabelTest {
  return (text) => !test(text);
}

function isAmong(wanted: readonly string[]): LabelTest {
  const texts = new Set(wanted);
  return (text) => texts.has(text);
}

function ignoringCase(pattern: string): LabelTest {
  const matches = likeTest(pattern.toLowerCase());
  return (text) => matches(text.toLowerCase());
}

/** Numbers by their value where both are numbers; else by code unit. */
function compare(text: string, bound: string): number {
  const [a, b] = [parseDecimal(text), parseDecimal(bound)];
  if (!isFault(a) && !isFault(b)) return a < b ? -1 : a > b ? 1 : 0;
  return text < bound ? -1 : text > bound ? 1 : 0;
}

/** SQL's LIKE. By hand: a regular expression with many wildcards can take for ever. */
function likeTest(pattern: string): LabelTest {
  const wanted = Array.from(pattern);
  return (text) => matchesLike(Array.from(text), wanted);
}

function matchesLike(text: readonly string[], pattern: readonly string[]): boolean {
  let [at, place, resumeAt, resumePlace] = [0, 0, 0, -1];
  while (at < text.length) {
    const symbol = pattern[place];
    if (symbol === "%") {
      [resumeAt, resumePlace] = [at, place];
      place += 1;
    } else if (symbol === "_" || symbol === text[at]) {
      at += 1;
      place += 1;
    } else if (resumePlace >= 0) {
      // The last % takes one character more.
      resumeAt += 1;
      [at, place] = [resumeAt, resumePlace + 1];
    } else return false;
  }
  return pattern.slice(place).every((symbol) => symbol === "%");
}
