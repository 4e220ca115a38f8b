import { isMeterbookError, sentenceOf, type ErrorCode } from "../core/errors.ts";
import { applyBillerNotice, type NoticeStatus } from "../engine/delivery/biller-notices.ts";
import { limits } from "../engine/limits.ts";
import type { Clock } from "../engine/ports.ts";
import type { WebhookCall, WebhookReply } from "./messages.ts";
import type { MeterNode } from "./node.ts";
import type { Notice } from "./notice.ts";

export interface WebhookTakerOptions {
  readonly clock: Clock;
  readonly onNotice: (notice: Notice) => void;
}

/** Takes webhook calls. Anybody can make one, so what is refused is told only now and then. */
export function webhookTaker({
  clock,
  onNotice,
}: WebhookTakerOptions): (node: Pick<MeterNode, "store" | "webhooks">, call: WebhookCall) => Promise<WebhookReply> {
  let toldAt = Number.NEGATIVE_INFINITY;
  const nowAndThen = (notice: Notice): void => {
    const now = clock.now();
    if (notice.code === REFUSED && Math.abs(now - toldAt) < limits.webhookRefusalsTellMs) return;
    if (notice.code === REFUSED) toldAt = now;
    onNotice(notice);
  };
  return (node, call) => takeWebhook(node, call, { clock, onNotice: nowAndThen });
}

const REFUSED: ErrorCode = "METER_WEBHOOK_REFUSED";

/** Checks a webhook call and applies what it says to the store; answers what Stripe is told. */
async function takeWebhook(
  { store, webhooks }: Pick<MeterNode, "store" | "webhooks">,
  call: WebhookCall,
  options: WebhookTakerOptions,
): Promise<WebhookReply> {
  if (webhooks === null) {
    refused(options.onNotice, UNCONFIGURED);
    return { status: 503, text: UNCONFIGURED };
  }
  try {
    const notice = await webhooks.read(call.body, call.signature);
    const status = await applyBillerNotice({ store, ...options }, notice);
    if (notice.kind === "refused") refused(options.onNotice, notice.reason);
    const reason = notice.kind === "refused" || notice.kind === "ignored" ? notice.reason : SENTENCES[status];
    return { status: STATUSES[status], text: reason };
  } catch (error) {
    const code = isMeterbookError(error) ? error.code : "METER_STORE_FAILED";
    options.onNotice({ code, text: `A webhook call could not be taken; Stripe makes it again: ${sentenceOf(error)}` });
    return { status: 503, text: "It could not be taken now; make the call again." };
  }
}

const STATUSES: Readonly<Record<NoticeStatus, number>> = { taken: 200, ignored: 200, later: 503, refused: 400 };

const SENTENCES: Readonly<Record<NoticeStatus, string>> = {
  taken: "Taken.",
  ignored: "Ignored.",
  later: "A report that it names is being sent; make the call again.",
  refused: "Refused.",
};

const UNCONFIGURED = "billing.stripe.webhookSecret or the key is not set, so webhooks cannot be checked.";

function refused(onNotice: (notice: Notice) => void, reason: string): void {
  onNotice({ code: REFUSED, text: `A webhook call was refused: ${reason}` });
}
