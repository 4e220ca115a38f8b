/** What a combination chooses from: the values of each factor, by its name. */
type Factors = Readonly<Record<string, readonly string[]>>;

/** One value of each factor. */
export type Combination<Given extends Factors> = { readonly [Name in keyof Given]: Given[Name][number] };

/** Every combination there is. */
export function fullProduct<Given extends Factors>(factors: Given): readonly Combination<Given>[] {
  const combined = Object.entries(factors).reduce<readonly Readonly<Record<string, string>>[]>(
    (rows, [name, values]) => rows.flatMap((row) => values.map((value) => ({ ...row, [name]: value }))),
    [{}],
  );
  return combined.filter((row): row is Combination<Given> => isComplete(factors, row));
}

/**
 * Few combinations in which every two values of two factors meet at least once, always the same ones: each is begun with a
 * pair that none had yet, and filled with the values that bring most new pairs, the least used first.
 */
export function allPairs<Given extends Factors>(factors: Given): readonly Combination<Given>[] {
  const missing = new Set(pairsOf(factors));
  const used = new Map<string, number>();
  const rows: Combination<Given>[] = [];
  for (let [pair] = missing; pair !== undefined; [pair] = missing) {
    const row: Record<string, string> = Object.fromEntries(pair.split(BETWEEN).map((one) => one.split(IS)));
    for (const [name, values] of Object.entries(factors)) row[name] ??= bestOf(name, values, row, missing, used);
    for (const covered of pairsIn(row)) missing.delete(covered);
    for (const [name, value] of Object.entries(row))
      used.set(half(name, value), (used.get(half(name, value)) ?? 0) + 1);
    if (isComplete(factors, row)) rows.push(row);
  }
  return rows;
}

/** The pairs of values that occur in no combination. */
export function pairsNotIn<Given extends Factors>(
  factors: Given,
  rows: readonly Combination<Given>[],
): readonly string[] {
  const covered = new Set(rows.flatMap((row) => pairsIn(row)));
  return pairsOf(factors).filter((pair) => !covered.has(pair));
}

const BETWEEN = " & ";
const IS = " = ";

function half(name: string, value: string): string {
  return `${name}${IS}${value}`;
}

function bestOf(
  name: string,
  values: readonly string[],
  row: Readonly<Record<string, string>>,
  missing: ReadonlySet<string>,
  used: ReadonlyMap<string, number>,
): string {
  const ranked = values.map((value) => {
    const pairs = Object.entries(row).map(([other, chosen]) => pairOf(half(name, value), half(other, chosen)));
    return {
      value,
      brings: pairs.filter((pair) => missing.has(pair)).length,
      uses: used.get(half(name, value)) ?? 0,
    };
  });
  const [best] = ranked.toSorted((a, b) => b.brings - a.brings || a.uses - b.uses);
  if (best === undefined) throw new Error(`${name} has no value`);
  return best.value;
}

function pairsOf(factors: Factors): readonly string[] {
  const halves = Object.entries(factors).map(([name, values]) => values.map((value) => half(name, value)));
  return halves.flatMap((ours, place) =>
    halves.slice(place + 1).flatMap((theirs) => ours.flatMap((one) => theirs.map((other) => pairOf(one, other)))),
  );
}

function pairsIn(row: Readonly<Record<string, string>>): readonly string[] {
  const halves = Object.entries(row).map(([name, value]) => half(name, value));
  return halves.flatMap((one, place) => halves.slice(place + 1).map((other) => pairOf(one, other)));
}

function pairOf(one: string, other: string): string {
  return [one, other].toSorted().join(BETWEEN);
}

function isComplete<Given extends Factors>(
  factors: Given,
  row: Readonly<Record<string, string>>,
): row is Combination<Given> {
  return Object.entries(factors).every(([name, values]) => values.includes(row[name] ?? ""));
}
