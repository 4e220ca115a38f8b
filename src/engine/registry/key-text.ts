import { createHash, timingSafeEqual } from "node:crypto";

/** A key as its holder writes it, taken apart. */
export interface KeyText {
  /** Public: names the key in lists, logs and histories. */
  readonly prefix: string;
  /** SHA-256 of the whole text. A slow hash is for passwords, not for 256 random bits. */
  readonly digest: Uint8Array;
}

const PREFIX_LENGTH = 8;
const SECRET_BYTES = 32;
const CHECKSUM_LENGTH = 6;
const ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789";
const SHAPE = /^(mb_([a-z0-9]{8})_[A-Za-z0-9_-]{43})([0-9a-f]{6})$/;

/** A new key's text, `mb_<prefix>_<256 bits in base64url><checksum>`: scanners of source code know it by its form. */
export function newKeyText(random: (size: number) => Uint8Array): string {
  const prefix = [...random(PREFIX_LENGTH)].map((byte) => ALPHABET[byte % ALPHABET.length]).join("");
  const body = `mb_${prefix}_${Buffer.from(random(SECRET_BYTES)).toString("base64url")}`;
  return body + checksumOf(body);
}

/** Null for a text that is no key: a typing error is known by the checksum, before anything is looked up. */
export function readKeyText(text: string): KeyText | null {
  const [, body, prefix, checksum] = SHAPE.exec(text) ?? [];
  if (body === undefined || prefix === undefined || checksum !== checksumOf(body)) return null;
  return { prefix, digest: createHash("sha256").update(text).digest() };
}

/** Whether two digests are equal, in a time that does not tell where they differ. */
export function isSameDigest(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}

function checksumOf(body: string): string {
  return createHash("sha256").update(`meterbook key ${body}`).digest("hex").slice(0, CHECKSUM_LENGTH);
}
