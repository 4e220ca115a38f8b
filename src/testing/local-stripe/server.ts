import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { runDue } from "./agenda.ts";
import type { Answer } from "./answer.ts";
import { localStripeBounds as bounds } from "./bounds.ts";
import { answerControl, CONTROL_PREFIX, type DeliverAll } from "./control.ts";
import { refusalAnswer, respond, type Delivery, type ReadRequest } from "./respond.ts";
import { nextId, nowMs, type LocalState, type LoggedCall } from "./state.ts";
import { StripeRefusal } from "./stripe-refusal.ts";

/** The version that answers name when the caller names none. */
const API_VERSION = "2026-10-28.endive";

/** Listens on 127.0.0.1 only; port 0 takes a free one. */
export async function listen(
  state: LocalState,
  { port, deliverWebhooks }: { readonly port: number; readonly deliverWebhooks: DeliverAll },
): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((request, response) => {
    serve(state, deliverWebhooks, request, response).catch((error: unknown) => {
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

async function serve(
  state: LocalState,
  deliverWebhooks: DeliverAll,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://local");
  const body = await readBody(request);
  if (body !== null && url.pathname.startsWith(CONTROL_PREFIX)) {
    const { localPort = 0 } = request.socket;
    const base = `http://127.0.0.1:${String(localPort)}`;
    const call = { method: request.method ?? "GET", path: url.pathname, body, base };
    send(response, await answerControl(state, call, deliverWebhooks));
    return;
  }
  runDue(state);
  const read = readRequest(state, request, url, body ?? "");
  const logged = log(state, read);
  const delivery = body === null ? tooLarge() : await respond(state, read);
  if (response.closed) {
    delivery.release();
  }
  response.once("close", delivery.release);
  logged.status = "answer" in delivery ? delivery.answer.status : null;
  state.settings.onCall(logged);
  deliver(state, read, response, delivery);
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
  if (delivery.how === "hang") {
    return;
  }
  response.setHeader("date", new Date(nowMs(state)).toUTCString());
  response.setHeader("request-id", read.requestId);
  response.setHeader("stripe-version", read.apiVersion ?? API_VERSION);
  if (read.idempotencyKey !== null) {
    response.setHeader("idempotency-key", read.idempotencyKey);
  }
  switch (delivery.how) {
    case "whole":
      send(response, delivery.answer);
      break;
    case "truncated":
      send(response, firstHalf(delivery.answer));
      break;
    case "cut":
      sendCut(response, delivery.answer);
      break;
    case "drip":
      void drip(response, delivery.answer, delivery.byteEveryMs);
      break;
  }
}

function send(response: ServerResponse, answer: Answer): void {
  sendHead(response, answer);
  response.end(answer.body);
}

function sendHead(response: ServerResponse, { status, headers }: Answer): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
}

/** A whole HTTP message whose JSON ends in its middle, as behind a proxy that gave up. */
function firstHalf(answer: Answer): Answer {
  return { ...answer, body: answer.body.slice(0, Math.floor(answer.body.length / 2)) };
}

/** A message that promises its whole length; the connection ends in its middle. */
function sendCut(response: ServerResponse, answer: Answer): void {
  response.setHeader("content-length", Buffer.byteLength(answer.body));
  sendHead(response, answer);
  response.write(firstHalf(answer).body, () => response.destroy());
}

async function drip(response: ServerResponse, answer: Answer, byteEveryMs: number): Promise<void> {
  const body = Buffer.from(answer.body);
  response.setHeader("content-length", body.length);
  sendHead(response, answer);
  for (let at = 0; at < body.length && !response.destroyed; at += 1) {
    response.write(body.subarray(at, at + 1));
    await wait(byteEveryMs, undefined, { ref: false });
  }
  response.end();
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
