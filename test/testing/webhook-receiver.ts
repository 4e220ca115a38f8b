import { createServer, type IncomingMessage } from "node:http";
import type { Stripe } from "stripe";
import { onTestFinished } from "vitest";

export interface Received {
  readonly body: string;
  readonly signature: string;
  readonly path: string;
}

export interface Receiver {
  readonly url: string;
  readonly received: Received[];
  /** What the next answers are; 200 when none is left. `hang` = none. */
  readonly answers: (number | "hang")[];
  /** Called while a delivery waits for its answer. */
  during: (received: Received) => Promise<void>;
}

/** An HTTP server on loopback that keeps what it gets, as bytes. Stops with the test. */
export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const answers: (number | "hang")[] = [];
  const receiver = { url: "", received, answers, during: async () => undefined };
  const server = createServer((request, response) => {
    const receive = async (): Promise<void> => {
      const body = await readAll(request);
      const entry = { body, signature: String(request.headers["stripe-signature"]), path: request.url ?? "" };
      received.push(entry);
      await made.during(entry);
      const answer = answers.shift() ?? 200;
      if (answer !== "hang") {
        response.writeHead(answer, answer === 301 ? { location: "/elsewhere" } : {}).end();
      }
    };
    void receive();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  const made: Receiver = { ...receiver, url: `http://127.0.0.1:${String(port)}/hooks` };
  return made;
}

/** The event inside, verified by the genuine client at the time at which it was signed. */
export function verified(client: Stripe, { body, signature }: Received, secret: string): Stripe.Event {
  return client.webhooks.constructEvent(body, signature, secret, undefined, undefined, signedAtMs(signature));
}

/** When a delivery was signed, in milliseconds. */
export function signedAtMs(signature: string): number {
  return Number(/^t=(\d+),/.exec(signature)?.[1]) * 1000;
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
