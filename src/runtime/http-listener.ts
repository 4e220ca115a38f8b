import { createServer, STATUS_CODES, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";

import { MeterbookError } from "../core/errors.ts";
import { limits } from "../engine/limits.ts";
import { answerProblem } from "../server/answer.ts";
import { invalidProblem, PROBLEM_TYPE, problemText } from "../server/problem.ts";

/** A server that listens. */
export interface HttpListener {
  /** `http://127.0.0.1:8888`, with the port that it got. */
  readonly url: string;
  readonly port: number;
  /**
   * Takes no further connections, and resolves when the last one is closed: those without a call once `answered`
   * resolves, those that are still at work after the time are cut off.
   */
  close(answered: Promise<void>, timeoutMs: number): Promise<void>;
}

/** How long strangers may take. */
export interface ListenerBounds {
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** How often connections are looked at for both. */
  readonly checkMs: number;
}

const BOUNDS: ListenerBounds = {
  headersTimeoutMs: limits.httpHeadersTimeoutMs,
  requestTimeoutMs: limits.httpRequestTimeoutMs,
  checkMs: limits.httpConnectionsCheckMs,
};

/** Listens with bounds on what strangers can hold open. METER_OPTION_INVALID when the address cannot be had. */
export async function listenHttp(
  listener: RequestListener,
  { host, port }: { readonly host: string; readonly port: number },
  bounds: ListenerBounds = BOUNDS,
): Promise<HttpListener> {
  const atWork = new Set<ServerResponse>();
  const connections = new Set<Socket>();
  let isClosing = false;
  let onQuiet: (() => void) | null = null;
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    atWork.add(response);
    response.once("close", () => {
      atWork.delete(response);
      if (atWork.size === 0) onQuiet?.();
    });
    // A caller that goes on over its open connection would keep a stopping service for ever.
    if (isClosing) response.shouldKeepAlive = false;
    if (request.headers.host === undefined && request.httpVersion !== "1.0")
      answerProblem(request, response, invalidProblem("The Host header field is missing."));
    else listener(request, response);
  };
  const server = createServer(
    {
      maxHeaderSize: limits.httpHeaderBytesMax,
      headersTimeout: bounds.headersTimeoutMs,
      requestTimeout: bounds.requestTimeoutMs,
      keepAliveTimeout: limits.httpKeepAliveMs,
      connectionsCheckingInterval: bounds.checkMs,
      noDelay: true,
      // Node's own refusal says nothing; ours is a problem as all are.
      requireHostHeader: false,
    },
    take,
  );
  server.maxConnections = limits.httpConnectionsMax;
  server.on("clientError", (error, socket) => refuseConnection(error, socket, atWork));
  server.on("checkExpectation", (request, response) =>
    answerProblem(request, response, invalidProblem("Nothing but 100-continue can be expected here.", [], 417)),
  );
  await begun(server, host, port);
  server.on("connection", (socket: Socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
  });
  // What goes wrong with one connection is that connection's matter.
  server.on("error", () => undefined);
  const address = server.address();
  const taken = typeof address === "object" && address !== null ? address.port : port;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${taken}`,
    port: taken,
    close: async (answered, timeoutMs) => {
      isClosing = true;
      // Not the server's own close(): it cuts off connections whose answer is written and not yet taken.
      const closed = new Promise<void>((resolve) => void Server.prototype.close.call(server, () => resolve()));
      for (const response of atWork) if (!response.headersSent) response.shouldKeepAlive = false;
      const cut = setTimeout(() => server.closeAllConnections(), timeoutMs);
      await answered;
      // Node's closeIdleConnections leaves those on which nothing, or a part of a call, has come.
      const sockets = new Set([...atWork].map(({ socket }) => socket));
      for (const socket of connections) if (!sockets.has(socket)) socket.destroy();
      if (atWork.size > 0) await new Promise<void>((resolve) => (onQuiet = resolve));
      for (const socket of connections) socket.destroy();
      await closed;
      clearTimeout(cut);
    },
  };
}

function begun(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(notListening(host, port, cause)));
    server.listen({ host, port, exclusive: true }, resolve);
  });
}

/** What Node's parser does not take has no request that could be answered: the problem is written by hand. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Duplex, atWork: ReadonlySet<ServerResponse>): void {
  const hasBegun = [...atWork].some((response) => response.socket === socket && response.headersSent);
  if (error.code === "ECONNRESET" || !socket.writable || hasBegun) return void socket.destroy();
  const { status, detail } = REFUSALS[error.code ?? ""] ?? UNREADABLE;
  const body = problemText(invalidProblem(detail, [], status));
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    "cache-control: no-store",
    "x-content-type-options: nosniff",
    "connection: close",
  ];
  // Ended first, so that the answer leaves; then nothing more is read of who goes on sending.
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}

const UNREADABLE = { status: 400, detail: "This is no HTTP request." };
const REFUSALS: Readonly<Record<string, { readonly status: number; readonly detail: string }>> = {
  HPE_HEADER_OVERFLOW: { status: 431, detail: `The header has more than ${limits.httpHeaderBytesMax} bytes.` },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { status: 413, detail: "The chunks of the body have too many extensions." },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, detail: "The request did not arrive in time." },
};

function notListening(host: string, port: number, cause: NodeJS.ErrnoException): MeterbookError {
  const place = `${host}:${port}`;
  const [sentence, remedy] = REASONS[cause.code ?? ""] ?? [
    `cannot be listened at: ${cause.message}`,
    "Check the address.",
  ];
  return new MeterbookError("METER_OPTION_INVALID", `${place} ${sentence}.`, { cause, remedy });
}

const REASONS: Readonly<Record<string, readonly [string, string]>> = {
  EADDRINUSE: ["is taken by another program", "Stop that one, or name another port with --port; 0 takes a free one."],
  EACCES: ["is not permitted to this user", "Name a port from 1024 on."],
  EADDRNOTAVAIL: ["is no address of this machine", "Name one of its own with --host, such as 127.0.0.1."],
  ENOTFOUND: ["is no address that anybody knows", "Name an address of this machine with --host, such as 127.0.0.1."],
};
