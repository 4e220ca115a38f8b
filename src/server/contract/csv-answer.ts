import { csvLine, safeText } from "../../core/csv-text.ts";
import type { MeterAnswer } from "../../engine/usage/meter-question.ts";
import { instantTexts } from "./instant-text.ts";

/**
 * An answer as CSV (RFC 4180): window, then customer, subject and labels as far as rows have them, then value and events.
 * A text that a spreadsheet would take for a formula stands behind an apostrophe
 * (https://owasp.org/www-community/attacks/CSV_Injection); numbers stay numbers.
 */
export function csvAnswer({ rows }: MeterAnswer): string {
  const hasCustomer = rows.some(({ customer }) => customer !== null);
  const hasSubject = rows.some(({ subject }) => subject !== null);
  const labels = [...new Set(rows.flatMap(({ group }) => Object.keys(group)))];
  const header = [
    "window_start",
    "window_end",
    ...(hasCustomer ? ["customer"] : []),
    ...(hasSubject ? ["subject"] : []),
    ...labels.map(safeText),
    "value",
    "events",
  ];
  const instants = instantTexts();
  const lines = rows.map(({ from, to, value, events, subject, customer, group }) => [
    instants(from),
    instants(to),
    ...(hasCustomer ? [safeText(customer ?? "")] : []),
    ...(hasSubject ? [safeText(subject ?? "")] : []),
    ...labels.map((label) => safeText(Object.hasOwn(group, label) ? (group[label] ?? "") : "")),
    value ?? "",
    String(events),
  ]);
  return [header, ...lines].map((cells) => `${csvLine(cells)}\r\n`).join("");
}
