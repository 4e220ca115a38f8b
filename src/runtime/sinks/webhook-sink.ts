import { ownMembers } from "../../core/own-member.ts";
import { createHmac } from "node:crypto";
import { lookup } from "node:dns/promises";
import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP } from "node:net";

import { sentenceOf } from "../../core/errors.ts";
import { limits } from "../../engine/limits.ts";
import type { RecordSink, SinkAnswer } from "../../engine/ports.ts";
import { isLoopbackHost, isPublicAddress } from "./public-address.ts";

/** An address that a name stands for. */
export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** What a webhook sink is made of. */
export interface WebhookSinkOptions {
  readonly name: string;
  readonly url: string;
  /** Key of the signature; null = unsigned. */
  readonly secret: string | null;
  /** Whether addresses of private networks may be called. */
  readonly allowPrivate: boolean;
  /** Asked once for each call, and only what it answers then is connected to; the system's resolver when absent. */
  readonly resolve?: ((hostname: string) => Promise<readonly ResolvedAddress[]>) | undefined;
  readonly timeoutMs?: number | undefined;
}

/**
 * Posts each record to a URL, signed: `meterbook-signature: t=<seconds>,v1=<HMAC-SHA-256 of "t.body", hex>`. A copy of
 * a call stays true for ever, so a receiver refuses a time that is more than five minutes off, and counts an id once. The address
 * is looked up and judged first, and the call goes to that address and no other; redirects are not followed.
 */
export function webhookSink(stated: WebhookSinkOptions): RecordSink {
  const options = ownMembers(stated);
  const { name, resolve = systemResolve } = options;
  return {
    name,
    async emit({ id, text }, now): Promise<SinkAnswer> {
      const url = new URL(options.url);
      try {
        const { signal, done } = deadline(options.timeoutMs ?? limits.sinkTimeoutMs);
        try {
          const address = await permitted(url, options.allowPrivate, (host) => raced(resolve(host), signal));
          if (address === null)
            return { kind: "failed", reason: `${url.hostname} is not an address of the public internet` };
          return await post(url, address, { id, text, now, secret: options.secret, signal });
        } finally {
          done();
        }
      } catch (error) {
        return { kind: "failed", reason: sentenceOf(error) };
      }
    },
  };
}

async function systemResolve(hostname: string): Promise<readonly ResolvedAddress[]> {
  return lookup(hostname, { all: true, verbatim: true });
}

/** The address to connect to; null when the name stands for one that may not be called, whatever its other ones are. */
async function permitted(
  url: URL,
  allowPrivate: boolean,
  resolve: (hostname: string) => Promise<readonly ResolvedAddress[]>,
): Promise<ResolvedAddress | null> {
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  const isLoopback = isLoopbackHost(url.hostname);
  if (url.protocol !== "https:" && !isLoopback) return null;
  const family = isIP(hostname);
  const found = family === 0 ? await resolve(hostname) : [{ address: hostname, family }];
  const [first] = found;
  if (first === undefined) return null;
  if (isLoopback || allowPrivate) return first;
  return found.every(({ address }) => isPublicAddress(address)) ? first : null;
}

interface Post {
  readonly id: string;
  readonly text: string;
  readonly now: number;
  readonly secret: string | null;
  readonly signal: AbortSignal;
}

function post(url: URL, { address, family }: ResolvedAddress, call: Post): Promise<SinkAnswer> {
  const { id, text, now, secret, signal } = call;
  const body = Buffer.from(text);
  const seconds = Math.floor(now / 1_000);
  const options: RequestOptions = {
    method: "POST",
    signal,
    agent: false,
    headers: {
      "content-type": "application/json",
      "content-length": body.length,
      "user-agent": "meterbook",
      "idempotency-key": id,
      "meterbook-record": id,
      ...(secret === null ? {} : { "meterbook-signature": signature(secret, seconds, text) }),
    },
    // The name is not looked up again: between two answers of a resolver anything can change.
    lookup: (_hostname, { all }, callback) =>
      all === true ? callback(null, [{ address, family }]) : callback(null, address, family),
  };
  return new Promise((resolve, reject) => {
    const send = url.protocol === "https:" ? httpsRequest : httpRequest;
    const outgoing = send(url, options, (response) => {
      answerOf(response).then(resolve, reject);
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** `t=…,v1=…`: whoever knows the secret can tell that the body is ours and how old it is. */
function signature(secret: string, seconds: number, body: string): string {
  return `t=${seconds},v1=${createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")}`;
}

async function answerOf(response: IncomingMessage): Promise<SinkAnswer> {
  const status = response.statusCode ?? 0;
  let bytes = 0;
  for await (const chunk of response) {
    bytes += Buffer.byteLength(chunk);
    if (bytes <= limits.sinkAnswerBytesMax) continue;
    response.destroy();
    break;
  }
  if (status >= 200 && status < 300) return { kind: "taken" };
  const reason = `answered ${status}`;
  if (status >= 300 && status < 400) return { kind: "failed", reason: `${reason}; redirects are not followed` };
  // Gone: whoever answers so wants no more. All else may be mended at the other end.
  return { kind: status === 410 ? "refused" : "failed", reason };
}

function deadline(timeoutMs: number): { readonly signal: AbortSignal; readonly done: () => void } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  return { signal: controller.signal, done: () => clearTimeout(timer) };
}

function raced<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error("the name could not be looked up in time")), {
      once: true,
    });
    work.then(resolve, reject);
  });
}
