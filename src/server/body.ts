import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate } from "node:zlib";

import type { BodyClaim } from "./body-room.ts";

/** A body: its bytes after inflating; or why there is none. `wireBytes`: how many came, whatever became of them. */
export type BodyReading = BodyOutcome & { readonly wireBytes: number };

type BodyOutcome =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  /** The caller left before the end; nobody waits for an answer. */
  | { readonly kind: "left" }
  /** Somebody before us read it, so its bytes are gone. */
  | { readonly kind: "taken" }
  /** Other calls hold all the room that there is for bodies. */
  | { readonly kind: "full" }
  | { readonly kind: "refused"; readonly status: 400 | 413 | 415; readonly message: string };

export interface BodyLimits {
  readonly bodyBytes: number;
  readonly inflatedBytes: number;
}

/** Content encodings that are taken, as a 415 names them. */
export const ENCODINGS = "gzip, deflate, br";

type Inflate = (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>;

const INFLATERS: ReadonlyMap<string, Inflate> = new Map<string, Inflate>([
  ["gzip", promisify(gunzip)],
  ["x-gzip", promisify(gunzip)],
  ["deflate", promisify(inflate)],
  ["br", promisify(brotliDecompress)],
]);

/** Whether a request brings a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0";
}

/**
 * Reads a body, counting its bytes as they come and as they inflate: what is too large is refused at the first byte too
 * much, never kept whole. `claim` is the room that it takes, which whoever reads it gives back.
 */
export async function readBody(
  request: IncomingMessage,
  limits: BodyLimits,
  claim: Pick<BodyClaim, "grow">,
): Promise<BodyReading> {
  const encoding = (request.headers["content-encoding"] ?? "identity").trim().toLowerCase();
  const inflater = INFLATERS.get(encoding);
  if (inflater === undefined && encoding !== "identity" && encoding !== "")
    return { kind: "refused", status: 415, message: `The content encoding is none of ${ENCODINGS}.`, wireBytes: 0 };
  const sent = await sentBytes(request, limits.bodyBytes, claim);
  if (sent.kind !== "bytes") return sent;
  const { wireBytes } = sent;
  if (inflater === undefined) {
    const isTooLarge = wireBytes > limits.inflatedBytes;
    return isTooLarge ? { ...tooLarge(limits.inflatedBytes, " after inflating"), wireBytes } : sent;
  }
  try {
    const bytes = await inflater(sent.bytes, { maxOutputLength: limits.inflatedBytes });
    return claim.grow(bytes.byteLength) ? { kind: "bytes", bytes, wireBytes } : { kind: "full", wireBytes };
  } catch (error) {
    return isTooLong(error)
      ? { ...tooLarge(limits.inflatedBytes, " after inflating"), wireBytes }
      : { kind: "refused", status: 400, message: `The body is not ${encoding}.`, wireBytes };
  }
}

function sentBytes(
  request: IncomingMessage,
  bytesMax: number,
  { grow }: Pick<BodyClaim, "grow">,
): Promise<BodyReading> | BodyReading {
  const parsed: unknown = Object.hasOwn(request, "body") ? Reflect.get(request, "body") : undefined;
  if (parsed instanceof Uint8Array) {
    const wireBytes = parsed.byteLength;
    return wireBytes > bytesMax ? { ...tooLarge(bytesMax), wireBytes } : { kind: "bytes", bytes: parsed, wireBytes };
  }
  if (request.readableDidRead || request.readableEnded) return { kind: "taken", wireBytes: 0 };
  if (Number(request.headers["content-length"] ?? 0) > bytesMax) return { ...tooLarge(bytesMax), wireBytes: 0 };
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let count = 0;
    const giveUp = (outcome: BodyOutcome): void => {
      request.off("data", onChunk);
      request.pause();
      chunks.length = 0;
      resolve({ ...outcome, wireBytes: count });
    };
    const onChunk = (chunk: Uint8Array): void => {
      count += chunk.byteLength;
      if (count > bytesMax) return giveUp(tooLarge(bytesMax));
      if (!grow(chunk.byteLength)) return giveUp({ kind: "full" });
      chunks.push(chunk);
    };
    request.on("data", onChunk);
    request.once("end", () => {
      const [first, ...others] = chunks;
      const bytes = first !== undefined && others.length === 0 ? first : Buffer.concat(chunks);
      resolve({ kind: "bytes", bytes, wireBytes: count });
    });
    request.once("error", () => resolve({ kind: "left", wireBytes: count }));
    request.once("close", () => resolve({ kind: "left", wireBytes: count }));
  });
}

function tooLarge(bytesMax: number, when = ""): Extract<BodyOutcome, { kind: "refused" }> {
  return { kind: "refused", status: 413, message: `The body is larger than ${bytesMax} bytes${when}.` };
}

function isTooLong(error: unknown): boolean {
  return error instanceof Error && Reflect.get(error, "code") === "ERR_BUFFER_TOO_LARGE";
}
