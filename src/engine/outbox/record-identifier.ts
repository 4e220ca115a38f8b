import { createHash } from "node:crypto";

import { formatDecimal } from "../../core/decimal.ts";
import { identifierText } from "../../core/usage-record.ts";
import type { Drift } from "../ports.ts";

/** What an identifier is made of: nothing else may enter, or a restart would make another one. */
export type IdentifiedReport = Parameters<typeof identifierText>[0];

/** `mb1_` and the SHA-256 of what is reported in base32: 56 characters, the same on every machine and after every restart. */
export function recordIdentifier(report: IdentifiedReport): string {
  return identifierOf(identifierText(report));
}

/** The identifier of the report that corrects a surplus: the same difference, found once, is corrected once. */
export function adjustIdentifier(adjustment: {
  /** Which database reports: Store.id. */
  readonly store: string;
  readonly account: string;
  readonly drift: Drift;
}): string {
  const { customer, reportAs, from, to, ours, theirs, foundAt } = adjustment.drift;
  const figures = [formatDecimal(ours), formatDecimal(theirs)];
  const parts = ["adjust", adjustment.store, adjustment.account, reportAs, customer, from, to, ...figures, foundAt];
  return identifierOf(JSON.stringify(parts));
}

function identifierOf(text: string): string {
  return `mb1_${base32(createHash("sha256").update(text).digest())}`;
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
