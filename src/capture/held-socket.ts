import type { ServerResponse } from "node:http";
import type { Writable } from "node:stream";

/** How many answers wait on a stream, and what was asked of it meanwhile. */
interface Hold {
  answers: number;
  /** The arguments of a destroy() that came too early. */
  destroyed: readonly unknown[] | null;
}

// From the global registry: two copies of this package hold one socket together.
const HOLD = Symbol.for("meterbook.hold");

type HeldStream = Writable & { [HOLD]?: Hold | undefined };

const nothingHeld = (): void => undefined;

/**
 * Holds back the bytes of a response until the answer is called: they wait in the stream's own buffer, so that the
 * response's and the stream's states, callbacks and back-pressure are Node's. A destroy() waits for them too, since Node
 * would have handed them to the kernel before. Streams that cannot be corked are left alone.
 */
export function holdBytes(response: ServerResponse): () => void {
  const stream = streamOf(response);
  if (stream === null || stream.destroyed) return nothingHeld;
  const hold = (stream[HOLD] ??= firstHold(stream));
  hold.answers++;
  let isOver = false;
  return () => {
    if (isOver) return;
    isOver = true;
    if (--hold.answers === 0) letGo(stream, hold);
  };
}

/** The connection, also of an answer that waits for the one before it; under HTTP/2 the stream of this answer. */
function streamOf(response: ServerResponse): HeldStream | null {
  const stream: unknown = response.req.httpVersionMajor >= 2 ? Reflect.get(response, "stream") : response.req.socket;
  return isCorkable(stream) ? stream : null;
}

function isCorkable(stream: unknown): stream is HeldStream {
  return (
    typeof stream === "object" &&
    stream !== null &&
    ["cork", "uncork", "destroy"].every((name) => typeof Reflect.get(stream, name) === "function")
  );
}

/** Corked, and deaf to uncork() and destroy(): Node uncorks a socket whenever a response ends. */
function firstHold(stream: HeldStream): Hold {
  const hold: Hold = { answers: 0, destroyed: null };
  stream.cork();
  const destroy: Writable["destroy"] = Reflect.get(stream, "destroy");
  shadow(stream, "uncork", nothingHeld);
  // It may be kept as a listener and called when all is over.
  shadow(stream, "destroy", function heldDestroy(this: HeldStream, ...given: unknown[]): Writable {
    if (this[HOLD] !== hold) return Reflect.apply(destroy, this, given);
    hold.destroyed ??= given;
    return this;
  });
  return hold;
}

function letGo(stream: HeldStream, hold: Hold): void {
  stream[HOLD] = undefined;
  Reflect.deleteProperty(stream, "uncork");
  Reflect.deleteProperty(stream, "destroy");
  while (stream.writableCorked > 0) stream.uncork();
  if (hold.destroyed !== null) Reflect.apply(Reflect.get(stream, "destroy"), stream, hold.destroyed);
}

function shadow(stream: HeldStream, name: "uncork" | "destroy", value: unknown): void {
  Object.defineProperty(stream, name, { value, configurable: true, enumerable: false, writable: true });
}
