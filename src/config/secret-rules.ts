import { bounds } from "./bounds.ts";
import type { Report } from "./report.ts";
import { mapScalars, type SourceNode } from "./source.ts";
import { writtenSecrets, type WrittenSecret } from "./stripe-key.ts";

const MESSAGES: Readonly<Record<WrittenSecret["kind"], string>> = {
  key: "a Stripe key stands here in clear: revoke it at Stripe, and write ${STRIPE_API_KEY}",
  webhookSecret: "a webhook secret stands here in clear: roll it at Stripe, and write ${STRIPE_WEBHOOK_SECRET}",
};

/** Where programs fill a secret in. */
const PLACES: Readonly<Record<WrittenSecret["kind"], string>> = {
  key: "billing.stripe.apiKey",
  webhookSecret: "billing.stripe.webhookSecret",
};

/**
 * Reports Stripe keys and webhook secrets that are written out, and gives the tree back with those values marked as
 * broken. A text is searched as a whole, comments included; of an object, everything but the places that programs fill in.
 */
export function reportWrittenKeys(
  config: { readonly text: string | null; readonly root: SourceNode | null },
  report: Report,
): SourceNode | null {
  const { text, root } = config;
  if (text !== null) {
    for (const { kind, offset } of writtenSecrets(text).slice(0, bounds.problemsMax)) {
      const before = text.slice(0, offset);
      const line = before.split("\n").length;
      report.error({
        path: [],
        at: { line, column: offset - before.lastIndexOf("\n") },
        kind: "syntax",
        message: MESSAGES[kind],
      });
    }
  }
  if (root === null) return null;
  const isObject = text === null;
  return mapScalars(root, (scalar, path) => {
    if (typeof scalar.value !== "string") return scalar;
    const place = path.join(".");
    const [found] = writtenSecrets(scalar.value).filter(({ kind }) => !isObject || place !== PLACES[kind]);
    if (found === undefined) return scalar;
    if (isObject) report.error({ path, at: null, message: MESSAGES[found.kind] });
    return { kind: "broken", at: scalar.at };
  });
}
