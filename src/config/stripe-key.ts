/** Secret (`sk_`) and restricted (`rk_`) keys of Stripe; the environment's name follows the prefix. */
const KEY_PATTERN = /(?<![A-Za-z0-9])([sr]k_(?:test|live|org)_)[A-Za-z0-9_]+/g;

/** Offsets at which a Stripe key stands in a text, comments included. */
export function stripeKeyOffsets(text: string): number[] {
  return [...text.matchAll(KEY_PATTERN)].map((match) => match.index);
}

/** The text with every Stripe key cut to its prefix: `sk_live_…`. */
export function withoutStripeKeys(text: string): string {
  return text.replaceAll(KEY_PATTERN, "$1…");
}

/** Whether a key bills real customers. */
export function isLiveKey(key: string): boolean {
  return /^[sr]k_live_/.test(key);
}

/** Whether a key only reaches Stripe's sandbox. */
export function isTestKey(key: string): boolean {
  return /^[sr]k_test_/.test(key);
}
