import { createServer, type RequestListener, type ServerResponse } from "node:http";
import type { Socket } from "node:net";

import { MeterbookError } from "../core/errors.ts";
import { limits } from "../engine/limits.ts";

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

/** Listens with bounds on what strangers can hold open. METER_OPTION_INVALID when the address cannot be had. */
export async function listenHttp(
  listener: RequestListener,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<HttpListener> {
  const atWork = new Set<ServerResponse>();
  const connections = new Set<Socket>();
  let isClosing = false;
  const server = createServer(
    {
      maxHeaderSize: limits.httpHeaderBytesMax,
      headersTimeout: limits.httpHeadersTimeoutMs,
      requestTimeout: limits.httpRequestTimeoutMs,
      keepAliveTimeout: limits.httpKeepAliveMs,
      connectionsCheckingInterval: limits.httpConnectionsCheckMs,
      noDelay: true,
    },
    (request, response) => {
      atWork.add(response);
      response.once("close", () => atWork.delete(response));
      // A caller that goes on over its open connection would keep a stopping service for ever.
      if (isClosing) response.shouldKeepAlive = false;
      listener(request, response);
    },
  );
  server.maxConnections = limits.httpConnectionsMax;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(notListening(host, port, cause)));
    server.listen({ host, port, exclusive: true }, resolve);
  });
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
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      for (const response of atWork) if (!response.headersSent) response.shouldKeepAlive = false;
      const cut = setTimeout(() => server.closeAllConnections(), timeoutMs);
      await answered;
      // Node's closeIdleConnections leaves those on which nothing, or a part of a call, has come.
      const sockets = new Set([...atWork].map(({ socket }) => socket));
      for (const socket of connections) if (!sockets.has(socket)) socket.destroy();
      await closed;
      clearTimeout(cut);
    },
  };
}

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
