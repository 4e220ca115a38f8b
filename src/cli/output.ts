import { paint } from "./paint.ts";

/** Where a command writes: results to stdout, everything else to stderr, so that a pipe gets results alone. */
export interface Output {
  readonly json: boolean;
  /** True when a person looks on: colours and progress make sense. */
  readonly interactive: boolean;
  line(text?: string): void;
  /** One JSON value on one line (NDJSON). */
  record(value: unknown): void;
  table(rows: readonly (readonly string[])[], options?: { readonly right?: readonly number[] }): void;
  /** Beside the result, on stderr: a line for a person, or under --json an object, so that every line can be parsed. */
  hint(text: string): void;
  /** Overwritten in place on a terminal, silent elsewhere. */
  progress(text: string | null): void;
}

function line(text = ""): void {
  process.stdout.write(`${text}\n`);
}

/** JSON with BigInt decimals already formatted by the caller: a raw BigInt here is a mistake and throws. */
export function output(options: { readonly json: boolean }): Output {
  const interactive = process.stdout.isTTY === true && !options.json;
  return {
    json: options.json,
    interactive,
    line,
    record: (value) => line(JSON.stringify(value)),
    table: (rows, { right = [] } = {}) => layOut(rows, right).forEach((row) => line(row)),
    hint: (text) =>
      void process.stderr.write(options.json ? `${JSON.stringify({ hint: text })}\n` : `${paint.dim(text)}\n`),
    progress: (text) => {
      if (process.stderr.isTTY === true) process.stderr.write(`\r\u001b[2K${text ?? ""}`);
    },
  };
}

/** Columns as wide as their widest cell, two blanks between; names of customers may hold control characters. */
function layOut(rows: readonly (readonly string[])[], right: readonly number[]): string[] {
  const clean = rows.map((row) => row.map(visible));
  const widths: number[] = [];
  for (const row of clean) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
  return clean.map((row) =>
    row
      .map((cell, column) =>
        right.includes(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

/** Text of clients, safe to print: no terminal escapes, no line breaks. */
export function visible(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** `2026-11-22 10:04:07` in UTC. */
export function stamp(time: number): string {
  return new Date(time).toISOString().slice(0, 19).replace("T", " ");
}

/** `10:04:07` in UTC. */
export function clockTime(time: number): string {
  return new Date(time).toISOString().slice(11, 19);
}

/** ISO instant without needless zeros: `2026-11-22T10:00:00Z`. */
export function instant(time: number): string {
  return new Date(time).toISOString().replace(".000Z", "Z");
}

/** `1 event`, `2 events`. */
export function numbered(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** What a list says on stderr when it ended at its bound, so that nobody takes a part for all; null when it did not. */
export function cutHint(shown: number, limit: number): string | null {
  return shown < limit ? null : `Only the first ${limit} are shown; --limit <n> shows more.`;
}

/** `14,220.5`: thousands for people; never used in --json. */
export function grouped(decimal: string): string {
  const [whole = "", fraction] = decimal.split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? spaced : `${spaced}.${fraction}`;
}
