import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";

import { onTestFinished } from "vitest";

/** A door before the local Stripe that keeps the answers to usage records back while its owner is frozen. */
export interface FrozenDoor {
  readonly url: string;
  /** Identifiers of the usage records that came through, in their order. */
  readonly passed: readonly string[];
  /** Called when Stripe has counted a usage record and its answer is not sent on yet; true = it is kept. */
  onCounted: () => boolean;
  /** Lets the kept answers go: every other one arrives, the others break with their connection. Answers how many there were. */
  release(): number;
}

/** Opens it on a free port; closed when the test is over. */
export async function openFrozenDoor(stripeUrl: string): Promise<FrozenDoor> {
  const passed: string[] = [];
  let kept: { readonly send: () => void; readonly cut: () => void }[] = [];
  const server = createServer((request, response) => {
    void pass(request, response).catch(() => response.destroy());
  });
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await wholeOf(request);
    const { method = "GET", url = "/", headers } = request;
    const isReport = method === "POST" && url === "/v1/billing/meter_events";
    if (isReport) passed.push(new URLSearchParams(body.toString()).get("identifier") ?? "");
    const answer = await onward(`${stripeUrl}${url}`, { method, headers }, body);
    const send = (): void => {
      response.writeHead(answer.status, answer.headers);
      response.end(answer.body);
    };
    if (isReport && door.onCounted()) kept.push({ send, cut: () => request.socket.resetAndDestroy() });
    else send();
  };
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" ? (address?.port ?? 0) : 0);
    });
  });
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const door: FrozenDoor = {
    url: `http://127.0.0.1:${port}`,
    passed,
    onCounted: () => false,
    release: () => {
      for (const [at, { send, cut }] of kept.entries()) (at % 2 === 0 ? send : cut)();
      const { length } = kept;
      kept = [];
      door.onCounted = () => false;
      return length;
    },
  };
  return door;
}

interface Passed {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

function onward(url: string, options: { method: string; headers: object }, body: Buffer): Promise<Passed> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method: options.method, headers: { ...options.headers } }, (answer) => {
      wholeOf(answer).then(
        (whole) => resolve({ status: answer.statusCode ?? 502, headers: answer.headers, body: whole }),
        reject,
      );
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function wholeOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
