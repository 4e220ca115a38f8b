/** Draws so many random bytes. */
export type RandomBytes = (size: number) => Uint8Array;

/**
 * A new id: 26 characters of Crockford's base 32, ten of the instant (milliseconds UTC) and sixteen at random, so that
 * ids sort by the instant of making (https://github.com/ulid/spec).
 */
export function entryId(now: number, random: RandomBytes): string {
  let id = "";
  for (let rest = now; id.length < TIME_LENGTH; rest = Math.floor(rest / 32)) id = letter(rest % 32) + id;
  // Of each byte five bits: 80 random bits in all.
  for (const byte of random(RANDOM_LENGTH)) id += letter(byte % 32);
  return id;
}

const LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TIME_LENGTH = 10;
const RANDOM_LENGTH = 16;

function letter(value: number): string {
  return LETTERS.charAt(value);
}
