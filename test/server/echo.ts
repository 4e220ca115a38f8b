import { once } from "node:events";
import net from "node:net";

import { z } from "zod";

import { route, type Route } from "../../src/server/route.ts";

/** A route that answers with the JSON that it was sent. */
export const echo: Route = route({
  method: "post",
  path: "/echo",
  access: "ingest",
  tag: "test",
  summary: "Answers what it was sent",
  body: z.json(),
  answers: { 200: { description: "The same." } },
  reply: async ({ body, caller }) => ({ status: 200, body: { author: caller.author, body } }),
});

/** A route that answers with the bytes that it was sent, after inflating. */
export const bytes: Route = route({
  method: "put",
  path: "/bytes",
  access: "ingest",
  tag: "test",
  summary: "Answers the bytes that it was sent",
  body: z.instanceof(Uint8Array),
  rawBody: true,
  answers: { 200: { description: "The same." } },
  reply: async ({ body }) => ({ status: 200, body, contentType: "application/octet-stream" }),
});

/** What a server writes to a raw connection until it closes it. */
export async function rawCall(port: number, text: string | Uint8Array): Promise<string> {
  const socket = net.connect(port, "127.0.0.1");
  let answer = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => void (answer += chunk));
  // A server that refuses a body closes its side while this one still writes.
  socket.on("error", () => undefined);
  socket.write(text);
  await once(socket, "close");
  return answer;
}
