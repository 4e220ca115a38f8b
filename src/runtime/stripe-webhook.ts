import type { IncomingMessage, ServerResponse } from "node:http";

import type { RequestMeter } from "../capture/metered-request.ts";
import { MeterbookError, sentenceOf, type ErrorCode } from "../core/errors.ts";
import { limits } from "../engine/limits.ts";
import type { WebhookCall, WebhookReply } from "./messages.ts";
import type { Notice } from "./notice.ts";

/** Takes Stripe's webhook calls: for `app.post(path, handler)`, Connect's `use`, and plain node:http. */
export type StripeWebhookHandler = (request: IncomingMessage, response: ServerResponse) => void;

export interface WebhookHandlerOptions {
  /** Has the worker take a call; rejects when it did not answer in time. */
  readonly take: (call: WebhookCall) => Promise<WebhookReply>;
  readonly onNotice: (notice: Notice) => void;
}

/** A request as body parsers leave it. */
type ParsedRequest = IncomingMessage & { readonly body?: unknown; readonly meter?: RequestMeter };

/**
 * The handler reads the raw body itself, since the signature is one of its bytes. 200: the store has what it says; 400: it
 * is not Stripe's; 503: not now, and Stripe makes the call again for days. It is never metered.
 */
export function stripeWebhookHandler(options: WebhookHandlerOptions): StripeWebhookHandler {
  let underWay = 0;
  let isMountTold = false;
  const onParsed = (): void => {
    if (isMountTold) return;
    isMountTold = true;
    options.onNotice({ code: "METER_WEBHOOK_REFUSED" satisfies ErrorCode, text: PARSED_TEXT });
  };
  return (request: ParsedRequest, response) => {
    request.meter?.skip();
    if (request.method !== "POST") return answer(response, { status: 405, text: "Stripe calls this with POST." });
    if (underWay >= limits.webhooksAtOnceMax) return answer(response, LATER);
    underWay += 1;
    void replyTo(options, request, onParsed)
      .then((reply) => (reply === null ? undefined : answer(response, reply)))
      .finally(() => (underWay -= 1));
  };
}

const PARSED_TEXT =
  'The webhook\'s body was parsed before meter.stripeWebhook() saw it, so its signature cannot be checked. Mount it before express.json(), or give its path express.raw({ type: "*/*" }).';

const LATER: WebhookReply = { status: 503, text: "Not now; make the call again." };

/** Null = the caller has left. What went wrong here is no reason for Stripe to give the call up. */
async function replyTo(
  options: WebhookHandlerOptions,
  request: ParsedRequest,
  onParsed: () => void,
): Promise<WebhookReply | null> {
  try {
    return await takeCall(options, request, onParsed);
  } catch (error) {
    return error instanceof MeterbookError ? { status: 503, text: sentenceOf(error) } : LATER;
  }
}

async function takeCall(
  { take }: WebhookHandlerOptions,
  request: ParsedRequest,
  onParsed: () => void,
): Promise<WebhookReply | null> {
  const body = await rawBody(request);
  switch (body) {
    case "left":
      return null;
    case "parsed":
      onParsed();
      return { status: 500, text: PARSED_TEXT };
    case "too_large":
      return { status: 413, text: `The body is larger than ${limits.webhookBytesMax} bytes.` };
    default: {
      const signature = request.headers["stripe-signature"];
      return take({ body, signature: typeof signature === "string" ? signature : "" });
    }
  }
}

type Body = Uint8Array | "left" | "parsed" | "too_large";

/** The bytes as they came: read here, or by express.raw() before. */
async function rawBody(request: ParsedRequest): Promise<Body> {
  const { body } = request;
  if (body instanceof Uint8Array) return body.byteLength > limits.webhookBytesMax ? "too_large" : body;
  // Some parsers leave an empty object on requests that they did not read.
  if (request.readableDidRead || request.readableEnded) return "parsed";
  if (Number(request.headers["content-length"] ?? 0) > limits.webhookBytesMax) return "too_large";
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    request.on("data", (chunk: Uint8Array) => {
      bytes += chunk.byteLength;
      if (bytes <= limits.webhookBytesMax) chunks.push(chunk);
      else resolve("too_large");
    });
    request.on("end", () => resolve(Buffer.concat(chunks)));
    request.on("error", () => resolve("left"));
    request.on("close", () => resolve("left"));
  });
}

function answer(response: ServerResponse, { status, text }: WebhookReply): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...HEADERS[status] });
  response.end(`${text}\n`);
}

/** What is too large is not read to its end, so nothing can follow it. */
const HEADERS: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  405: { allow: "POST" },
  413: { connection: "close" },
};
