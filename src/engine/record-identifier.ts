import { createHash } from "node:crypto";

import { identifierText } from "../core/usage-record.ts";

/** What an identifier is made of: nothing else may enter, or a restart would make another one. */
export type IdentifiedReport = Parameters<typeof identifierText>[0];

/** `mb1_` and the SHA-256 of what is reported in base32: 56 characters, the same on every machine and after every restart. */
export function recordIdentifier(report: IdentifiedReport): string {
  return `mb1_${base32(createHash("sha256").update(identifierText(report)).digest())}`;
}

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/** RFC 4648 base32, lower case, without padding. */
function base32(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let pending = 0;
  for (const byte of bytes) {
    pending = (pending << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(pending >>> bits) & 31];
    }
    pending &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + ALPHABET[(pending << (5 - bits)) & 31];
}
