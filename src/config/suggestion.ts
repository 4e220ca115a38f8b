import { editsBetween } from "../core/near-name.ts";

/** What people write instead of our words. */
const SYNONYMS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "=": "eq",
    "==": "eq",
    "===": "eq",
    "!=": "ne",
    "!==": "ne",
    ">": "gt",
    ">=": "gte",
    "<": "lt",
    "<=": "lte",
    nin: "not_in",
    regex: "matches",
    glob: "like",
    total: "sum",
    average: "avg",
    mean: "avg",
    distinct: "unique",
    last: "latest",
  }),
);

const WORD_LENGTH_MAX = 100;

/** The candidate that was probably meant: same letters in another spelling, a known synonym, or few edits away. */
export function closestTo(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length === 0 || word.length > WORD_LENGTH_MAX) return undefined;
  const bare = bareLetters(word);
  const synonym = SYNONYMS.get(word.toLowerCase());
  let best: string | undefined;
  let bestEdits = Infinity;
  for (const candidate of candidates) {
    const isSame = candidate === synonym || (bare !== "" && bareLetters(candidate) === bare);
    const edits = isSame ? 0 : editsWithin(word, candidate);
    if (edits < bestEdits && candidate !== word) [best, bestEdits] = [candidate, edits];
  }
  return best;
}

function bareLetters(word: string): string {
  return word.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
}

/** Edits between two words, neighbours swapped counting once; Infinity when more than a third would change and neither begins the other. */
function editsWithin(a: string, b: string): number {
  const longest = Math.max(a.length, b.length);
  const editsMax = Math.max(1, Math.floor(longest / 3));
  if (Math.min(a.length, b.length) >= 3 && (a.startsWith(b) || b.startsWith(a))) return editsMax;
  if (longest > WORD_LENGTH_MAX || Math.abs(a.length - b.length) > editsMax) return Infinity;
  const edits = editsBetween(a.toLowerCase(), b.toLowerCase());
  return edits <= editsMax ? edits : Infinity;
}
