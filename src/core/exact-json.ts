import { parseDecimal, readDecimal } from "./decimal.ts";
import type { Json } from "./event.ts";

/**
 * Only a literal of 16 or more digits, or one with an exponent, can fail to survive as a double. What stands before a
 * literal is part of it: ids within texts often look like numbers.
 */
const SUSPICIOUS = /(?:^|[:,[\s])-?(?:[0-9.]{16}|[0-9.]{1,15}[eE])/;
const LITERAL_LENGTH_SAFE = 15;
const QUOTE = 34;
const BACKSLASH = 92;

/**
 * JSON.parse, except that a number literal which a double cannot hold (9007199254740993, 1e400, 1e-400, long decimals)
 * comes back as its source text, so that readDecimal() sees what was sent. Throws a SyntaxError as JSON.parse does.
 * Node 20 offers no source text to a reviver, hence the rewriting.
 */
export function parseExactJson(text: string): Json {
  return readExactJson(text).exact;
}

/**
 * What JSON.parse gives beside what parseExactJson gives: only the plain value tells a text from a number that became one.
 * Both are the same value where every number survives. Of members with one name the last one counts, in both.
 */
export function readExactJson(text: string): { readonly plain: Json; readonly exact: Json } {
  // Parsed as it stands first: the rewriting below may rely on valid JSON, and must never make it valid.
  const plain: Json = JSON.parse(text);
  if (!SUSPICIOUS.test(text)) return { plain, exact: plain };
  const quoted = quoteInexactLiterals(text);
  return { plain, exact: quoted === null ? plain : JSON.parse(quoted) };
}

/** The same JSON with each inexact number literal in quotes; null when there is none. */
function quoteInexactLiterals(text: string): string | null {
  let output = "";
  let copied = 0;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
    } else if (startsNumber(code)) {
      const end = endOfNumber(text, at);
      const literal = text.slice(at, end);
      if (!survivesAsDouble(literal)) {
        output += `${text.slice(copied, at)}"${literal}"`;
        copied = end;
      }
      at = end;
    } else {
      at++;
    }
  }
  return copied === 0 ? null : output + text.slice(copied);
}

function survivesAsDouble(literal: string): boolean {
  if (literal.length <= LITERAL_LENGTH_SAFE && !/[eE]/.test(literal)) return true;
  const double: number = JSON.parse(literal);
  const read = readDecimal(double);
  if (read !== parseDecimal(literal)) return false;
  // The same fault on both sides says nothing about the figures.
  return typeof read === "bigint" || double.toString() === literal;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at + 1;
}

function startsNumber(code: number): boolean {
  return isDigit(code) || code === 45;
}

function endOfNumber(text: string, start: number): number {
  let at = start + 1;
  while (continuesNumber(text.charCodeAt(at))) at++;
  return at;
}

/** Digits and `+ - . E e`; NaN, past the end, is none of them. */
function continuesNumber(code: number): boolean {
  return isDigit(code) || code === 43 || code === 45 || code === 46 || code === 69 || code === 101;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}
