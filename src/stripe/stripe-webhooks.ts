import { Stripe } from "stripe";

import { owns } from "../core/own-member.ts";
import { limits } from "../engine/limits.ts";
import type { BillerNotice, Clock } from "../engine/ports.ts";
import { withoutSecrets } from "./secrets.ts";
import { connectStripe, type ConnectionOptions, type StripeConnection } from "./stripe-connection.ts";
import { companyIn, companyOf, type CompanyIdAt } from "./stripe-customers.ts";
import { readRejection } from "./meter-rejection.ts";
import { toldMembers } from "./told-members.ts";
import { stripeMeters, type StripeMeters } from "./stripe-meters.ts";

export interface StripeWebhooksOptions extends ConnectionOptions {
  readonly companyIdAt: CompanyIdAt;
  /** `whsec_…` of every endpoint that leads here, the old and the new one of one that is rolled. */
  readonly secrets: readonly string[];
}

/** Reads what Stripe posts to an endpoint. */
export interface StripeWebhooks {
  /**
   * What a call says: its raw body and its Stripe-Signature header. Bodies that say little are asked for at Stripe: throws
   * METER_STRIPE_REFUSED or METER_STRIPE_UNREACHABLE, and the call has to be made again.
   */
  read(body: Uint8Array, signature: string): Promise<BillerNotice>;
}

/** Webhooks, checked and read by the genuine client (docs.stripe.com/webhooks/signature). */
export function stripeWebhooks(options: StripeWebhooksOptions): StripeWebhooks {
  const connection = connectStripe(options);
  const meters = stripeMeters(connection, options.clock);
  return {
    read: async (body, signature) => {
      const opened = openBody(connection.stripe, options, body, signature);
      if (opened.kind === "refusal") return { kind: "refused", reason: opened.reason };
      return opened.kind === "snapshot"
        ? noticeOfSnapshot(opened.event, options)
        : noticeOfThin(opened.event, connection, meters, options);
    },
  };
}

type ThinEvent = Stripe.V2.Core.EventNotification;
type Opened =
  | { readonly kind: "snapshot"; readonly event: Stripe.Event }
  | { readonly kind: "thin"; readonly event: ThinEvent }
  | { readonly kind: "refusal"; readonly reason: string };

/** By the first secret that fits. Nothing of a body is read before its signature is checked. */
function openBody(
  stripe: Stripe,
  { secrets, clock }: { readonly secrets: readonly string[]; readonly clock: Clock },
  body: Uint8Array,
  signature: string,
): Opened {
  let reason = "There is no webhook secret to check it with.";
  for (const secret of secrets) {
    const call = [body, signature, secret, TOLERANCE_SECONDS, undefined, clock.now()] as const;
    try {
      return { kind: "snapshot", event: stripe.webhooks.constructEvent(...call) };
    } catch (error) {
      reason = sentenceOf(error);
      if (error instanceof Stripe.errors.StripeSignatureVerificationError) continue;
    }
    // It is Stripe's, and no snapshot of an object: it names what happened, or is no event at all.
    try {
      return { kind: "thin", event: stripe.parseEventNotification(...call) };
    } catch (error) {
      return { kind: "refusal", reason: sentenceOf(error) };
    }
  }
  return { kind: "refusal", reason };
}

/** Never 0: that would take a recording of any age. */
const TOLERANCE_SECONDS = limits.webhookAgeMaxMs / 1_000;

/** The first line: the others advise, and repeat what came. */
function sentenceOf(error: unknown): string {
  const [sentence = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
  return withoutSecrets(sentence);
}

function noticeOfSnapshot(event: Stripe.Event, { mode, companyIdAt }: StripeWebhooksOptions): BillerNotice {
  if (!isNamed(event)) return NO_EVENT;
  const { id, type } = event;
  const ignored = (reason: string): BillerNotice => ({ kind: "ignored", id, reason });
  if (event.livemode !== (mode === "live")) return ignored(`It is not of ${mode} mode.`);
  // A platform hears of its connected accounts too: their customers are not ours.
  if (event.account !== undefined) return ignored("It is of a connected account.");
  if (event.type !== "customer.created" && event.type !== "customer.updated" && event.type !== "customer.deleted")
    return ignored(`${type} says nothing that is of use here.`);
  // Signed is not well-formed: another version of the API may put anything here.
  const told = toldMembers(event.data);
  const object = toldMembers(told?.["object"]);
  const customer = object?.["id"];
  const metadata = toldMembers(object?.["metadata"]);
  if (typeof customer !== "string" || metadata === null) return ignored("It names no customer.");
  const company = companyOf({ id: customer, metadata }, companyIdAt);
  const former = formerCompany(toldMembers(told?.["previous_attributes"]), companyIdAt);
  const formerOther = former === company ? null : former;
  return {
    kind: "customer",
    id,
    change: CHANGES[event.type],
    customer,
    company,
    formerCompany: formerOther,
  };
}

const NO_EVENT: BillerNotice = { kind: "refused", reason: "The body is no event." };

/** The client checks the signature, not what is signed. */
function isNamed(event: unknown): boolean {
  if (typeof event !== "object" || event === null || !owns(event, "id") || !owns(event, "type")) return false;
  const isSnapshot = owns(event, "object") && event.object === "event";
  const hasObject = owns(event, "data") && toldMembers(toldMembers(event.data)?.["object"]) !== null;
  return typeof event.id === "string" && typeof event.type === "string" && (!isSnapshot || hasObject);
}

const CHANGES = {
  "customer.created": "created",
  "customer.updated": "updated",
  "customer.deleted": "deleted",
} as const;

/** Only what changed stands among the attributes of before. */
function formerCompany(before: Readonly<Record<string, unknown>> | null, at: CompanyIdAt): string | null {
  return at.kind === "metadata" ? companyIn(toldMembers(before?.["metadata"]), at.key) : null;
}

async function noticeOfThin(
  thin: ThinEvent,
  { stripe, read }: StripeConnection,
  meters: StripeMeters,
  { mode }: StripeWebhooksOptions,
): Promise<BillerNotice> {
  if (!isNamed(thin)) return NO_EVENT;
  const { id, type } = thin;
  if (thin.livemode !== (mode === "live")) return { kind: "ignored", id, reason: `It is not of ${mode} mode.` };
  if (thin.type !== "v1.billing.meter.error_report_triggered" && thin.type !== "v1.billing.meter.no_meter_found")
    return { kind: "ignored", id, reason: `${type} says nothing that is of use here.` };
  // What it says is fetched: the call itself carries none of it.
  const event = await read(() => stripe.v2.core.events.retrieve(id, {}, contextOf(thin)));
  const names = await meters.namesById();
  return readRejection(event, names) ?? { kind: "ignored", id, reason: `What Stripe has of ${id} is no error report.` };
}

function contextOf({ context }: ThinEvent): Stripe.RequestOptions {
  return context === undefined || context === null ? {} : { stripeContext: context };
}
