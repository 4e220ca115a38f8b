/** Secret (`sk_`) and restricted (`rk_`) keys of Stripe; the environment's name follows the prefix. */
const KEY_PATTERN = /(?<![A-Za-z0-9])([sr]k_(?:test|live|org)_)[A-Za-z0-9_]+/g;

/** Signing secrets of webhook endpoints. */
const WEBHOOK_SECRET_PATTERN = /(?<![A-Za-z0-9])(whsec_)[A-Za-z0-9+/=_-]+/g;

/** A secret of Stripe's in a text. */
export interface WrittenSecret {
  readonly kind: "key" | "webhookSecret";
  /** Where it begins. */
  readonly offset: number;
}

/** Where Stripe keys and webhook secrets stand in a text, comments included, first one first. */
export function writtenSecrets(text: string): WrittenSecret[] {
  const found = (pattern: RegExp, kind: WrittenSecret["kind"]): WrittenSecret[] =>
    [...text.matchAll(pattern)].map(({ index }) => ({ kind, offset: index }));
  return [...found(KEY_PATTERN, "key"), ...found(WEBHOOK_SECRET_PATTERN, "webhookSecret")].toSorted(
    (a, b) => a.offset - b.offset,
  );
}

/** The text with every Stripe key and webhook secret cut to its prefix: `sk_live_…`. */
export function withoutStripeKeys(text: string): string {
  return text.replaceAll(KEY_PATTERN, "$1…").replaceAll(WEBHOOK_SECRET_PATTERN, "$1…");
}

/** The signing secrets in a text: one, or several between commas or blanks. Null when one of them is none. */
export function webhookSecrets(text: string): readonly string[] | null {
  const secrets = text.split(/[\s,]+/).filter((secret) => secret !== "");
  return secrets.every((secret) => /^whsec_[A-Za-z0-9+/=_-]+$/.test(secret)) ? secrets : null;
}

/** Whether a key bills real customers. */
export function isLiveKey(key: string): boolean {
  return /^[sr]k_live_/.test(key);
}

/** Whether a key only reaches Stripe's sandbox. */
export function isTestKey(key: string): boolean {
  return /^[sr]k_test_/.test(key);
}
