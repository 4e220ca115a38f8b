import { createServer } from "node:http";

import { Stripe } from "stripe";

/** A webhook call as it arrived. */
export interface ReceivedCall {
  readonly body: Uint8Array;
  readonly signature: string;
}

export interface Receiver {
  readonly url: string;
  readonly calls: ReceivedCall[];
  close(): Promise<void>;
}

/** An endpoint that keeps what Stripe posts, and answers 200. */
export async function webhookReceiver(): Promise<Receiver> {
  const calls: ReceivedCall[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      calls.push({ body: Buffer.concat(chunks), signature: String(request.headers["stripe-signature"]) });
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}/hooks`,
    calls,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

const signer = new Stripe("sk_test_signer", { telemetry: false });

/** A call signed as Stripe does. */
export function signedCall(payload: unknown, secret: string, atMs: number): ReceivedCall {
  const text = typeof payload === "string" ? payload : JSON.stringify(payload);
  const signature = signer.webhooks.generateTestHeaderString({
    payload: text,
    secret,
    timestamp: Math.floor(atMs / 1_000),
  });
  return { body: Buffer.from(text), signature };
}
