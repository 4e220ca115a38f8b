import { checkDuration } from "./duration-rules.ts";
import { placeAt, type Place } from "./place.ts";
import { CUSTOMER_FIELD_PATTERN } from "./schema.ts";
import type { StripeSettings } from "./settings.ts";
import { isLiveKey, isTestKey, webhookSecrets } from "./stripe-key.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** How the rules that depend on the configuration's form see it. */
export interface StripeContext {
  /** True for objects, where a key comes from the program; a key as text in a file is an error. */
  readonly mayHoldKey: boolean;
}

/** Reporting to Stripe; null without `billing.stripe`. */
export function checkStripe(root: Place, context: StripeContext): StripeSettings | null {
  const stripe = placeAt(root, "billing", "stripe");
  if (stripe?.node.kind !== "map") return null;
  const mode = stripe.child("mode")?.text() === "live" ? "live" : "test";
  return {
    apiKey: checkKey(stripe, mode, context),
    webhookSecret: checkWebhookSecret(stripe.child("webhookSecret"), context),
    mode,
    apiBase: checkBase(stripe.child("apiBase"), mode),
    companyIdAt: checkCustomerField(placeAt(stripe, "map", "company_id")),
    unmatchedCustomer: unmatchedOf(stripe.child("unmatchedCustomer")?.text()),
    noSubscription: stripe.child("noSubscription")?.text() === "send" ? "send" : "hold",
    shadow: isTrue(stripe.child("shadow")),
    report: checkReport(stripe),
  };
}

function checkKey(stripe: Place, mode: StripeSettings["mode"], context: StripeContext): string | null {
  const place = stripe.child("apiKey");
  const key = place?.text()?.trim() ?? "";
  if (place === null || key === "") {
    if (place === null) stripe.warn("there is no Stripe key: usage is kept and not reported", { onKey: true });
    else if (place.text() !== null)
      place.warn(`${place.shown()} is empty, so there is no Stripe key: usage is kept and not reported`);
    return null;
  }
  const isWritten = place.node.kind === "scalar" && !place.node.substituted;
  if (isWritten && !context.mayHoldKey) place.error("a key does not stand in this file; write ${STRIPE_API_KEY}");
  else if (key.startsWith("pk_")) place.error("this is a publishable key (pk_); a secret or restricted key is needed");
  else if (/[^\u0021-\u007e]/.test(key)) place.error("the key holds a space, a line break or a letter that no key has");
  else if (isLiveKey(key) && mode === "test") {
    place.error(
      "METER_LIVE_KEY_IN_TEST_MODE: this is a live key while mode says test; write mode: live to bill real customers",
    );
  } else if (isTestKey(key) && mode === "live")
    place.warn("mode says live, but this is a test key: no customer is billed");
  return key;
}

function checkWebhookSecret(place: Place | null, { mayHoldKey }: StripeContext): string | null {
  const text = place?.text()?.trim() ?? "";
  if (place === null || text === "") {
    if (typeof place?.text() === "string")
      place.warn(`${place.shown()} is empty, so there is no webhook secret: calls of Stripe are not taken`);
    return null;
  }
  const isWritten = place.node.kind === "scalar" && !place.node.substituted;
  const secrets = webhookSecrets(text);
  if (isWritten && !mayHoldKey)
    place.error("a webhook secret does not stand in this file; write ${STRIPE_WEBHOOK_SECRET}");
  else if (secrets === null) place.error("a webhook secret begins with whsec_; several stand between blanks or commas");
  return secrets === null || secrets.length === 0 ? null : secrets.join(" ");
}

/** Only a key that bills nobody may travel without encryption. */
function checkBase(place: Place | null, mode: StripeSettings["mode"]): string | null {
  const text = place?.text() ?? null;
  if (place === null || text === null) return null;
  if (!URL.canParse(text) || !/^https?:\/\/[^/?#]+\/?$/.test(text)) {
    place.error('expected a base URL such as "http://127.0.0.1:12111", without a path', { showReceived: true });
  } else if (mode === "live" && !text.startsWith("https:")) {
    place.error("a live key is sent over https only", { showReceived: true });
  }
  return text.replace(/\/$/, "");
}

const customerField = new RegExp(`^(?:${CUSTOMER_FIELD_PATTERN})$`);

function checkCustomerField(place: Place | null): StripeSettings["companyIdAt"] {
  const text = place?.text() ?? "customer.metadata.company_id";
  if (!customerField.test(text)) {
    const mended = text.replace(/^(?:customer\.)?(?:metadata\.)?/, "customer.metadata.");
    place?.error('expected customer.id or a metadata field such as "customer.metadata.company_id"', {
      suggestion: customerField.test(mended) ? mended : undefined,
      showReceived: true,
    });
  }
  return text === "customer.id"
    ? { kind: "customerId" }
    : { kind: "metadata", key: text.slice("customer.metadata.".length) };
}

function isTrue(place: Place | null): boolean {
  return place?.node.kind === "scalar" && place.node.value === true;
}

function unmatchedOf(text: string | null | undefined): StripeSettings["unmatchedCustomer"] {
  return text === "create" || text === "error" ? text : "hold";
}

function checkReport(stripe: Place): StripeSettings["report"] {
  const report = stripe.child("report");
  const window = report?.child("window") ?? null;
  const isMinute = window?.text() === "minute";
  if (isMinute) window?.warn("windows this short are for demos and tests; use hour to bill");
  const lateness = report?.child("lateness") ?? null;
  const grace = report?.child("grace") ?? null;
  const latenessMs = checkDuration(lateness, isMinute ? 0 : 5 * MINUTE_MS, { mayBeZero: true });
  const graceMs = checkDuration(grace, HOUR_MS);
  if (latenessMs >= graceMs && graceMs > 0) {
    (lateness ?? grace)?.error("lateness must be shorter than grace, or a window closes after its invoice is final", {
      showReceived: true,
    });
  }
  const digits = report?.child("fractionDigits")?.node;
  return {
    windowMs: isMinute ? MINUTE_MS : HOUR_MS,
    everyMs: checkDuration(report?.child("every") ?? null, MINUTE_MS),
    latenessMs,
    graceMs,
    fractionDigits: digits?.kind === "scalar" && typeof digits.value === "number" ? digits.value : 0,
  };
}
