import { MeterbookError } from "../core/errors.ts";
import { nearName } from "../core/near-name.ts";

/** `Did you mean "jobs"? `, to be put before what there is; empty when nothing is near. */
export function meantBy(name: string, names: Iterable<string>): string {
  const near = nearName(name, names);
  return near === null ? "" : `Did you mean "${near}"? `;
}

/** METER_UNKNOWN_METER with the names that there are; `place` is where it stood, such as `Line 3`. */
export function unknownMeter(name: string, names: Iterable<string>, place?: string): MeterbookError {
  const known = [...new Set(names)];
  const sentence = `here is no meter ${JSON.stringify(name)}.`;
  return new MeterbookError("METER_UNKNOWN_METER", place === undefined ? `T${sentence}` : `${place}: t${sentence}`, {
    remedy: `${meantBy(name, known)}Known: ${known.join(", ") || "none"}.`,
  });
}
