import type { LookupFunction } from "node:net";
import { refuse } from "../stripe-refusal.ts";

/** Whether a URL names this machine by a loopback address. */
export function isLoopbackUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  return (
    url?.protocol === "http:" &&
    (url.hostname === "localhost" || url.hostname === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(url.hostname))
  );
}

/** The URL of a webhook, refused unless it is plain HTTP on this machine. */
export function loopbackUrl(text: string, param: string): string {
  return isLoopbackUrl(text)
    ? text
    : refuse("webhook.loopback_only", {
        message: `The local Stripe calls http URLs of this machine only, not ${text}.`,
        code: "url_invalid",
        param,
      });
}

/** `localhost` is this machine whatever a resolver says. */
export const loopbackLookup: LookupFunction = (_hostname, options, callback) => {
  if (options.all === true) {
    callback(null, [
      { address: "127.0.0.1", family: 4 },
      { address: "::1", family: 6 },
    ]);
  } else {
    callback(null, "127.0.0.1", 4);
  }
};
