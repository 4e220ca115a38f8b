/** The candidate that was probably meant, ignoring case; null when none is near. For "did you mean". */
export function nearName(name: string, candidates: Iterable<string>): string | null {
  const wanted = name.toLowerCase();
  // A third of the letters may differ: `x-token-used` finds `x-tokens-used`, `x-a` finds nothing.
  let fewest = Math.floor(Math.max(wanted.length, 3) / 3) + 1;
  let nearest: string | null = null;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - wanted.length) >= fewest) continue;
    const edits = editsBetween(wanted, candidate.toLowerCase());
    if (edits < fewest) [nearest, fewest] = [candidate, edits];
  }
  return nearest;
}

/** Edits between two words, swapped neighbours counting once (optimal string alignment). Costs the product of the lengths. */
export function editsBetween(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const change = at(last, column - 1) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const isSwapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const swap = isSwapped ? at(beforeLast, column - 2) + 1 : change;
      current.push(Math.min(at(last, column) + 1, at(current, column - 1) + 1, change, swap));
    }
    beforeLast = last;
    last = current;
  }
  return at(last, b.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
