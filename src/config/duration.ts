const unitMs: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

/** `100ms`, `30s`, `1m`, `1h`, `400d` as a regular expression's source; nine digits at most keep the product exact. */
export const DURATION_PATTERN = "[0-9]{1,9}(?:ms|s|m|h|d)";

const shape = new RegExp(`^${DURATION_PATTERN}$`);

/** Milliseconds of a duration; null when the text is none. */
export function parseDuration(text: string): number | null {
  if (!shape.test(text)) return null;
  const digits = text.replace(/[a-z]+$/, "");
  const unit = unitMs.get(text.slice(digits.length)) ?? 0;
  let amount = 0;
  for (const digit of digits) amount = amount * 10 + (digit.charCodeAt(0) - 48);
  return amount * unit;
}

/** The duration that `5 min`, `30 Seconds` or `2w` probably means. */
export function suggestDuration(text: string): string | undefined {
  const words = /^\s*([0-9]{1,9})\s*([A-Za-z]+)\s*$/.exec(text);
  const [, digits = "", unit = ""] = words ?? [];
  const letters = unit.toLowerCase();
  if (letters === "") return undefined;
  if (/^(?:ms|msecs?|millis|milliseconds?)$/.test(letters)) return `${digits}ms`;
  const short = /^(?:s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)$/.exec(letters);
  return short === null ? undefined : `${digits}${letters.charAt(0)}`;
}
