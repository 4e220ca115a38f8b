import { createHash, createHmac } from "node:crypto";

/**
 * The Stripe-Signature header (docs.stripe.com/webhooks, "Verify manually"): HMAC-SHA256 of `t.body`, one v1 for each
 * secret in force. In test mode a fake v0 stands beside them, which a receiver must not accept.
 */
export function signatureHeader(
  body: string,
  {
    seconds,
    secrets,
    isLive,
  }: { readonly seconds: number; readonly secrets: readonly string[]; readonly isLive: boolean },
): string {
  const time = String(seconds);
  const signatures = secrets.map((secret) => `v1=${hmac(secret, `${time}.${body}`)}`);
  return [`t=${time}`, ...signatures, ...(isLive ? [] : [`v0=${hmac("v0", `${time}.${body}`)}`])].join(",");
}

/** A secret that runs repeat: it follows from the webhook's id and its number. */
export function madeSecret(account: string, webhook: string, number: number): string {
  const digest = createHash("sha256")
    .update(`${account} ${webhook} ${String(number)}`)
    .digest("base64url");
  return `whsec_${digest.replaceAll(/[^A-Za-z0-9]/g, "0").slice(0, 32)}`;
}

function hmac(secret: string, text: string): string {
  return createHmac("sha256", secret).update(text, "utf8").digest("hex");
}
