import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Answer } from "./answer.ts";
import { localStripeBounds as bounds } from "./bounds.ts";
import { answerControl, CONTROL_PREFIX } from "./control.ts";
import { refusalAnswer, respond, type Delivery, type ReadRequest } from "./respond.ts";
import { nextId, nowMs, type LocalState, type LoggedCall } from "./state.ts";
import { StripeRefusal } from "./stripe-refusal.ts";

/** The version that answers name when the caller names none. */
const API_VERSION = "2026-10-28.endive";

/** Listens on 127.0.0.1 only; port 0 takes a free one. */
export async function listen(
  state: LocalState,
  port: number,
): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((request, response) => {
    serve(state, request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : new Error(String(error)));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address();
  return { server, port: typeof address === "object" && address !== null ? address.port : port };
}

/** Stops listening and cuts every connection, those that hang included. Idempotent. */
export async function stop(server: Server): Promise<void> {
  if (server.listening) {
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }
}

async function serve(state: LocalState, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://local");
  const body = await readBody(request);
  if (body !== null && url.pathname.startsWith(CONTROL_PREFIX)) {
    send(response, answerControl(state, request.method ?? "GET", url.pathname, body));
    return;
  }
  const read = readRequest(state, request, url, body ?? "");
  const logged = log(state, read);
  const delivery = body === null ? tooLarge() : await respond(state, read);
  if (response.closed) {
    delivery.release();
  }
  response.once("close", delivery.release);
  deliver(state, read, response, delivery);
  logged.status = delivery.how === "whole" || delivery.how === "truncated" ? response.statusCode : null;
}

function readRequest(state: LocalState, request: IncomingMessage, url: URL, body: string): ReadRequest {
  const inBody = request.method === "POST";
  return {
    requestId: nextId(state, "req"),
    method: request.method ?? "GET",
    path: url.pathname,
    form: inBody ? body : url.search.slice(1),
    authorization: request.headers.authorization,
    idempotencyKey: oneHeader(request, "idempotency-key"),
    apiVersion: oneHeader(request, "stripe-version"),
  };
}

function log(state: LocalState, read: ReadRequest): LoggedCall {
  const { requestId, method, path, form, idempotencyKey, apiVersion } = read;
  const call: LoggedCall = {
    at: nowMs(state),
    requestId,
    method,
    path,
    form,
    idempotencyKey,
    apiVersion,
    status: null,
  };
  state.calls.push(call);
  if (state.calls.length > bounds.requestsLoggedMax) {
    state.calls.shift();
  }
  return call;
}

function deliver(state: LocalState, read: ReadRequest, response: ServerResponse, delivery: Delivery): void {
  if (delivery.how === "reset") {
    response.socket?.resetAndDestroy();
    return;
  }
  if (delivery.how === "hang" || delivery.answer === null) {
    return;
  }
  response.setHeader("date", new Date(nowMs(state)).toUTCString());
  response.setHeader("request-id", read.requestId);
  response.setHeader("stripe-version", read.apiVersion ?? API_VERSION);
  if (read.idempotencyKey !== null) {
    response.setHeader("idempotency-key", read.idempotencyKey);
  }
  if (delivery.how === "truncated") {
    sendHalf(response, delivery.answer);
  } else {
    send(response, delivery.answer);
  }
}

function send(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
  response.end(answer.body);
}

/** A whole HTTP message whose JSON ends in its middle, as behind a proxy that gave up. */
function sendHalf(response: ServerResponse, answer: Answer): void {
  send(response, { ...answer, body: answer.body.slice(0, Math.floor(answer.body.length / 2)) });
}

function tooLarge(): Delivery {
  const refusal = new StripeRefusal("http.body_too_large", { status: 413, message: "The request body is too large." });
  return { how: "whole", answer: refusalAnswer(refusal), release: () => undefined };
}

/** The body as text; null when it is over the bound (read to its end, so that the answer can be read). */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= bounds.bodyBytesMax) {
      chunks.push(chunk);
    }
  }
  return bytes <= bounds.bodyBytesMax ? Buffer.concat(chunks).toString("utf8") : null;
}

function oneHeader(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name];
  return typeof value === "string" && value !== "" ? value : null;
}
