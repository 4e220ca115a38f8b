import { bounds } from "./bounds.ts";
import type { Report } from "./report.ts";
import { mapScalars, type SourceNode } from "./source.ts";
import { stripeKeyOffsets } from "./stripe-key.ts";

const MESSAGE = "a Stripe key stands here in clear: revoke it at Stripe, and write ${STRIPE_API_KEY}";

/**
 * Reports Stripe keys that are written out, and gives the tree back with those values marked as broken. A text is
 * searched as a whole, comments included; of an object, everything but `billing.stripe.apiKey`, which programs fill in.
 */
export function reportWrittenKeys(
  config: { readonly text: string | null; readonly root: SourceNode | null },
  report: Report,
): SourceNode | null {
  const { text, root } = config;
  if (text !== null) {
    for (const offset of stripeKeyOffsets(text).slice(0, bounds.problemsMax)) {
      const before = text.slice(0, offset);
      const line = before.split("\n").length;
      report.error({
        path: [],
        at: { line, column: offset - before.lastIndexOf("\n") },
        kind: "syntax",
        message: MESSAGE,
      });
    }
  }
  if (root === null) return null;
  const isObject = text === null;
  return mapScalars(root, (scalar, path) => {
    const isAllowed = isObject && path.join(".") === "billing.stripe.apiKey";
    if (isAllowed || typeof scalar.value !== "string" || stripeKeyOffsets(scalar.value).length === 0) return scalar;
    if (isObject) report.error({ path, at: null, message: MESSAGE });
    return { kind: "broken", at: scalar.at };
  });
}
