import type { IncomingMessage } from "node:http";

/** The bytes of a body as they pass by, up to a cap. Beyond the cap nothing is kept. */
export interface BodyTap {
  readonly bytesMax: number;
  chunks: Uint8Array[];
  bytes: number;
  /** More bytes passed than may be kept, or some passed before anyone looked. */
  overflowed: boolean;
  missedStart: boolean;
  ended: boolean;
}

export function newBodyTap(bytesMax: number): BodyTap {
  return { bytesMax, chunks: [], bytes: 0, overflowed: false, missedStart: false, ended: false };
}

/** Keeps a copy of a chunk: its owner may use the buffer again as soon as the write is done. */
export function keepChunk(tap: BodyTap, chunk: unknown, encoding: unknown): void {
  if (tap.overflowed) return;
  let bytes: Uint8Array;
  if (typeof chunk === "string") {
    if (tap.bytes + chunk.length > tap.bytesMax) return overflow(tap);
    bytes = Buffer.from(chunk, typeof encoding === "string" && Buffer.isEncoding(encoding) ? encoding : "utf8");
  } else if (chunk instanceof Uint8Array) {
    if (tap.bytes + chunk.byteLength > tap.bytesMax) return overflow(tap);
    bytes = Uint8Array.prototype.slice.call(chunk);
  } else {
    return;
  }
  if (tap.bytes + bytes.byteLength > tap.bytesMax) return overflow(tap);
  tap.bytes += bytes.byteLength;
  tap.chunks.push(bytes);
}

/** The body as text; null when it is not whole or not UTF-8. */
export function tappedText(tap: BodyTap): string | null {
  if (tap.overflowed || tap.missedStart) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(tap.chunks));
  } catch {
    return null;
  }
}

/**
 * Watches a request's body without reading it: whoever consumes the stream, or nobody, sees what it would have seen.
 * Node's parser hands each chunk to `push`, and that is where they are seen.
 */
export function tapRequest(request: IncomingMessage, tap: BodyTap): void {
  if (request.readableLength > 0 || request.readableDidRead || request.complete) tap.missedStart = !hasNoBody(request);
  const push: IncomingMessage["push"] = Reflect.get(request, "push");
  request.push = function tappedPush(this: IncomingMessage, chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk === null) tap.ended = true;
    else keepChunk(tap, chunk, encoding);
    return Reflect.apply(push, this, [chunk, encoding]);
  };
}

/** True when a request announces no body. */
export function hasNoBody(request: IncomingMessage): boolean {
  return request.headers["transfer-encoding"] === undefined && (request.headers["content-length"] ?? "0") === "0";
}

function overflow(tap: BodyTap): void {
  tap.overflowed = true;
  tap.chunks = [];
}
