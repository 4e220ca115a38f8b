import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate } from "node:zlib";

/** A body: its bytes after inflating, and how many were sent; or why there is none. */
export type BodyReading =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array; readonly wireBytes: number }
  /** The caller left before the end; nobody waits for an answer. */
  | { readonly kind: "left" }
  /** Somebody before us read it, so its bytes are gone. */
  | { readonly kind: "taken" }
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
 * much, never kept whole.
 */
export async function readBody(request: IncomingMessage, limits: BodyLimits): Promise<BodyReading> {
  const encoding = (request.headers["content-encoding"] ?? "identity").trim().toLowerCase();
  const inflater = INFLATERS.get(encoding);
  if (inflater === undefined && encoding !== "identity" && encoding !== "")
    return { kind: "refused", status: 415, message: `The content encoding is none of ${ENCODINGS}.` };
  const sent = await wireBytes(request, limits.bodyBytes);
  if (sent.kind !== "bytes") return sent;
  if (inflater === undefined) {
    return sent.bytes.byteLength > limits.inflatedBytes ? tooLarge(limits.inflatedBytes, " after inflating") : sent;
  }
  try {
    const bytes = await inflater(sent.bytes, { maxOutputLength: limits.inflatedBytes });
    return { kind: "bytes", bytes, wireBytes: sent.wireBytes };
  } catch (error) {
    return isTooLong(error)
      ? tooLarge(limits.inflatedBytes, " after inflating")
      : { kind: "refused", status: 400, message: `The body is not ${encoding}.` };
  }
}

type WireReading = Exclude<BodyReading, { kind: "refused"; status: 415 }>;

function wireBytes(request: IncomingMessage, bytesMax: number): Promise<WireReading> | WireReading {
  const parsed: unknown = Object.hasOwn(request, "body") ? Reflect.get(request, "body") : undefined;
  if (parsed instanceof Uint8Array)
    return parsed.byteLength > bytesMax
      ? tooLarge(bytesMax)
      : { kind: "bytes", bytes: parsed, wireBytes: parsed.byteLength };
  if (request.readableDidRead || request.readableEnded) return { kind: "taken" };
  if (Number(request.headers["content-length"] ?? 0) > bytesMax) return tooLarge(bytesMax);
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let count = 0;
    const onChunk = (chunk: Uint8Array): void => {
      count += chunk.byteLength;
      if (count <= bytesMax) return void chunks.push(chunk);
      request.off("data", onChunk);
      request.pause();
      chunks.length = 0;
      resolve(tooLarge(bytesMax));
    };
    request.on("data", onChunk);
    request.once("end", () => {
      const [first, ...others] = chunks;
      const bytes = first !== undefined && others.length === 0 ? first : Buffer.concat(chunks);
      resolve({ kind: "bytes", bytes, wireBytes: count });
    });
    request.once("error", () => resolve({ kind: "left" }));
    request.once("close", () => resolve({ kind: "left" }));
  });
}

function tooLarge(
  bytesMax: number,
  when = "",
): { readonly kind: "refused"; readonly status: 413; readonly message: string } {
  return { kind: "refused", status: 413, message: `The body is larger than ${bytesMax} bytes${when}.` };
}

function isTooLong(error: unknown): boolean {
  return error instanceof Error && Reflect.get(error, "code") === "ERR_BUFFER_TOO_LARGE";
}
