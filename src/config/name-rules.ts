import { bounds } from "./bounds.ts";
import type { Place } from "./place.ts";

/** A rule for the keys of a map that its author may name. */
export interface NameRule {
  readonly shape: RegExp;
  /** `lower-case letters, digits and single underscores`. */
  readonly allowed: string;
  /** Brings a name into shape, as a suggestion. */
  readonly mend: (name: string) => string;
}

/** Meters and plans: core/meter's rule, which Stripe's event_name accepts as well. */
export const KEY_RULE: NameRule = {
  shape: /^[a-z0-9]+(?:_[a-z0-9]+)*$/,
  allowed: "lower-case letters, digits and single underscores between them",
  mend: (name) =>
    name
      .replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2")
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "_")
      .replaceAll(/^_|_$/g, ""),
};

/** Computed fields and group labels: what a CEL expression can spell. */
export const NAME_RULE: NameRule = {
  shape: /^[A-Za-z_][A-Za-z0-9_]*$/,
  allowed: "letters, digits and underscores, not beginning with a digit",
  mend: (name) => name.replaceAll(/[^A-Za-z0-9_]+/g, "_").replace(/^[0-9]/, "_$&"),
};

/** Checks the key of a place; `what` says what it names: `a meter's key`. */
export function checkName(place: Place, what: string, rule: NameRule): void {
  const name = place.key;
  if (name.length > bounds.nameLengthMax) {
    place.error(`${what} has at most ${bounds.nameLengthMax} characters, this one has ${name.length}`, { onKey: true });
  } else if (!rule.shape.test(name)) {
    const mended = rule.mend(name);
    const suggestion = rule.shape.test(mended) ? mended : undefined;
    place.error(`${what} is made of ${rule.allowed}`, { onKey: true, suggestion });
  }
}
