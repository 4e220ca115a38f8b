import { createHmac, timingSafeEqual } from "node:crypto";

import { limits } from "../limits.ts";

/** What a customer's token lets its holder see: this customer's usage, of these meters (null = of all), until then. */
interface CustomerGrant {
  readonly customer: string;
  readonly meters: readonly string[] | null;
  /** Milliseconds UTC. */
  readonly expiresAt: number;
}

/** Makes and reads the tokens of one secret. Nothing of them is stored: another secret ends them all. */
export interface CustomerTokens {
  issue(grant: CustomerGrant): string;
  /** Null for a text that was not issued here, was changed, or has expired. */
  read(text: string, now: number): CustomerGrant | null;
}

const MARK = "mbt_";
/** Longer than any that is issued: identifiers and names of meters have bounds. */
const TEXT_LENGTH_MAX = 64 * 1024;

/**
 * Tokens `mbt_<grant>.<HMAC-SHA-256>` signed by a secret of at least 32 bytes. The grant can be read by its holder, and
 * cannot be changed.
 */
export function customerTokens(secret: Uint8Array): CustomerTokens {
  if (secret.byteLength < 32) throw new RangeError("A secret for tokens has at least 32 bytes.");
  const sign = (signed: string): Uint8Array => createHmac("sha256", secret).update(`customer token ${signed}`).digest();
  return {
    issue({ customer, meters, expiresAt }) {
      const signed = Buffer.from(JSON.stringify([customer, meters, expiresAt])).toString("base64url");
      return `${MARK}${signed}.${Buffer.from(sign(signed)).toString("base64url")}`;
    },
    read(text, now) {
      if (!text.startsWith(MARK) || text.length > TEXT_LENGTH_MAX) return null;
      const [signed = "", signature = "", ...rest] = text.slice(MARK.length).split(".");
      const given = Buffer.from(signature, "base64url");
      const wanted = sign(signed);
      if (rest.length > 0 || given.byteLength !== wanted.byteLength || !timingSafeEqual(given, wanted)) return null;
      // One signature has one text: decoding forgives what encoding never writes.
      if (given.toString("base64url") !== signature) return null;
      const grant = grantOf(signed);
      return grant === null || grant.expiresAt <= now || grant.expiresAt > now + limits.customerTokenMaxMs
        ? null
        : grant;
    },
  };
}

function grantOf(signed: string): CustomerGrant | null {
  const parts: unknown = JSON.parse(Buffer.from(signed, "base64url").toString());
  if (!Array.isArray(parts)) return null;
  const [customer, meters, expiresAt]: unknown[] = parts;
  if (typeof customer !== "string" || typeof expiresAt !== "number") return null;
  if (meters === null) return { customer, meters, expiresAt };
  if (!Array.isArray(meters)) return null;
  return { customer, meters: meters.filter((meter): meter is string => typeof meter === "string"), expiresAt };
}
