/** Cells as one CSV line (RFC 4180, https://www.rfc-editor.org/rfc/rfc4180), without its end. */
export function csvLine(cells: readonly string[]): string {
  return cells.map((cell) => (/[",\r\n\t]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",");
}

/**
 * A text that came from outside, so that a spreadsheet shows it and does not calculate it: behind an apostrophe where it
 * begins like a formula (https://owasp.org/www-community/attacks/CSV_Injection). Numbers of ours stay as they are.
 */
export function safeText(text: string): string {
  return /^[=+\-@\t\r']/.test(text) ? `'${text}` : text;
}

/** What safeText() was given. */
export function plainText(cell: string): string {
  return /^'[=+\-@\t\r']/.test(cell) ? cell.slice(1) : cell;
}
