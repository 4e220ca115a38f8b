import { parseDuration, suggestDuration } from "./duration.ts";
import { DURATION_EXPECTED } from "./field-schema.ts";
import type { Place } from "./place.ts";

/** Milliseconds at a place, reporting what is no duration; `absentMs` where nothing usable stands there. */
export function checkDuration(
  place: Place | null,
  absentMs: number,
  options: { readonly mayBeZero?: boolean } = {},
): number {
  const text = place?.text() ?? null;
  if (place === null || text === null) return absentMs;
  const ms = parseDuration(text);
  if (ms === null) {
    place.error(`expected ${DURATION_EXPECTED}`, { suggestion: suggestDuration(text), showReceived: true });
    return absentMs;
  }
  if (ms === 0 && options.mayBeZero !== true) place.error("expected more than 0", { showReceived: true });
  return ms;
}
