import type { Connection } from "./connection.ts";

/** Rows per statement: fewer calls into the driver, and few enough texts to keep prepared. */
const ROWS_PER_STATEMENT = [64, 8, 1] as const;

/** Runs `<insert> (…), (…) <conflict>` over a flat list of parameters; answers how many rows were changed. */
export function insertRows(
  connection: Connection,
  insert: string,
  columns: number,
  parameters: readonly unknown[],
  conflict: string,
): number {
  let changes = 0;
  let at = 0;
  for (const rows of ROWS_PER_STATEMENT) {
    const step = rows * columns;
    if (parameters.length - at < step) continue;
    const statement = connection.sql(`${insert} ${tuples(rows, columns)} ${conflict}`);
    for (; parameters.length - at >= step; at += step)
      changes += statement.run(parameters.slice(at, at + step)).changes;
  }
  return changes;
}

const TUPLES = new Map<number, string>();

function tuples(rows: number, columns: number): string {
  const key = rows * 1_000 + columns;
  let text = TUPLES.get(key);
  if (text === undefined) {
    const tuple = `(${Array.from({ length: columns }, () => "?").join(",")})`;
    text = Array.from({ length: rows }, () => tuple).join(",");
    TUPLES.set(key, text);
  }
  return text;
}
