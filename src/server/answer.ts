import type { IncomingMessage, ServerResponse } from "node:http";

import { ownMember } from "../core/own-member.ts";
import { limits } from "../engine/limits.ts";
import { hasBody } from "./body.ts";
import { problemText, PROBLEM_TYPE, type Problem } from "./problem.ts";
import type { Reply } from "./route.ts";

/** What every answer says: it is not kept, not guessed at, and nothing in it runs. */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

const JSON_TYPE = "application/json";

/** Writes an answer; resolves when the last byte is with the system, or the caller left. Rejects when its source fails. */
export async function answer(request: IncomingMessage, response: ServerResponse, reply: Reply): Promise<void> {
  const chunks = ownMember(reply, "chunks");
  const contentType = ownMember(reply, "contentType");
  const headers = ownMember(reply, "headers") ?? {};
  if (chunks !== undefined) {
    begin(request, response, reply.status, { "content-type": contentType ?? JSON_TYPE, ...headers });
    return writeAll(request, response, chunks);
  }
  const body = ownMember(reply, "body");
  if (body === undefined) {
    const length: Record<string, string> = reply.status === 204 ? {} : { "content-length": "0" };
    begin(request, response, reply.status, { ...length, ...headers });
    return end(response);
  }
  // A text with a type of its own is that type's; any other value is JSON.
  const written = contentType !== undefined && (typeof body === "string" || body instanceof Uint8Array);
  const sent = written ? body : JSON.stringify(body);
  writeWhole(request, response, reply.status, sent, { "content-type": contentType ?? JSON_TYPE, ...headers });
}

/** Writes a problem. */
export function answerProblem(request: IncomingMessage, response: ServerResponse, problem: Problem): void {
  if (response.headersSent || response.destroyed) return;
  const headers = { "content-type": PROBLEM_TYPE, ...problem.headers };
  writeWhole(request, response, problem.status, problemText(problem), headers);
}

function writeWhole(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>>,
): void {
  const length = String(Buffer.byteLength(body));
  begin(request, response, status, { ...headers, "content-length": length });
  end(response, request.method === "HEAD" ? undefined : body);
}

function begin(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
): void {
  if (response.headersSent || response.destroyed) return;
  // Host applications name their framework; that is nobody's business here.
  response.removeHeader("x-powered-by");
  const leave: Record<string, string> = isUnread(request) ? { connection: "close" } : {};
  // Who asks and does not take the answer must not hold it for ever.
  response.setTimeout(limits.httpAnswerIdleMs, () => response.destroy());
  response.writeHead(status, { ...SECURITY_HEADERS, ...headers, ...leave });
}

/** A large body that nobody wants is not read to its end, so nothing can follow it on its connection. */
function isUnread(request: IncomingMessage): boolean {
  if (request.complete || !hasBody(request)) return false;
  const length = request.headers["content-length"];
  return length === undefined || Number(length) > limits.httpUnreadBytesMax;
}

function end(response: ServerResponse, body?: string | Uint8Array): void {
  if (response.writableEnded || response.destroyed) return;
  if (body === undefined) response.end();
  else response.end(body);
}

/** One after another, no faster than they are taken. */
async function writeAll(
  request: IncomingMessage,
  response: ServerResponse,
  chunks: AsyncIterable<string | Uint8Array>,
): Promise<void> {
  if (request.method === "HEAD") return end(response);
  for await (const chunk of chunks) {
    if (response.destroyed) return;
    if (!response.write(chunk)) await writable(response);
  }
  end(response);
}

/** Resolves when there is room again, or nobody is there any more. */
async function writable(response: ServerResponse): Promise<void> {
  if (response.destroyed) return;
  await new Promise<void>((resolve) => {
    const go = (): void => {
      response.off("drain", go);
      response.off("close", go);
      resolve();
    };
    response.once("drain", go);
    response.once("close", go);
  });
}
