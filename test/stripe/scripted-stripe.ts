import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

/** One request that reached the server. */
interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly form: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
}

export interface Scripted {
  readonly status?: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers a request, or does with the connection what it likes and answers nothing. */
export type Script = (request: SeenRequest, response: ServerResponse) => Scripted | undefined;

export interface ScriptedStripe {
  readonly url: string;
  readonly seen: SeenRequest[];
  close(): Promise<void>;
}

/** A Stripe on loopback that says what a test wrote; meters and the account answer by themselves. */
export async function scriptedStripe(script: Script): Promise<ScriptedStripe> {
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => (body += chunk));
    request.on("end", () => {
      const url = new URL(request.url ?? "/", "http://127.0.0.1");
      const one = {
        method: request.method ?? "",
        path: url.pathname,
        query: url.searchParams,
        form: new URLSearchParams(body),
        headers: request.headers,
      };
      seen.push(one);
      const answer = script(one, response);
      if (answer === undefined) return;
      const { status = 200, headers = {} } = answer;
      response.writeHead(status, { "content-type": "application/json", "request-id": "req_1", ...headers });
      response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body ?? {}));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export const meter = {
  id: "mtr_1",
  object: "billing.meter",
  event_name: "chat_tokens",
  status: "active",
  default_aggregation: { formula: "sum" },
  event_time_window: null,
  customer_mapping: { type: "by_id", event_payload_key: "stripe_customer_id" },
  value_settings: { event_payload_key: "value" },
};

/** A page of a list. */
export function list(...objects: readonly object[]): Scripted {
  return { body: { object: "list", data: objects, has_more: false, url: "/v1/x" } };
}

/** A Stripe-shaped error. */
export function refusal(
  status: number,
  message: string,
  more: { readonly type?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Scripted {
  return {
    status,
    body: { error: { type: more.type ?? "invalid_request_error", message } },
    ...(more.headers === undefined ? {} : { headers: more.headers }),
  };
}
