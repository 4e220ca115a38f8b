import { IncomingMessage, ServerResponse, type ServerOptions } from "node:http";

import { WATCHED } from "../capture/watch-mark.ts";

type Constructors = Required<Pick<ServerOptions, "IncomingMessage" | "ServerResponse">>;

/**
 * Request and response constructors for an Express app: what they make has `app.request` and `app.response` as prototype
 * at once, and a place for the mark of who watches it. Empty for anything that is no Express app.
 */
export function constructorsFor(app: object): Partial<Constructors> {
  const requestPrototype: unknown = Reflect.get(app, "request");
  const responsePrototype: unknown = Reflect.get(app, "response");
  if (!(requestPrototype instanceof IncomingMessage) || !(responsePrototype instanceof ServerResponse)) return {};
  try {
    const made = {
      IncomingMessage: withPrototype(IncomingMessage, requestPrototype, null),
      ServerResponse: withPrototype(ServerResponse, responsePrototype, WATCHED),
    };
    // A Node whose constructors no longer run on a given object would refuse every request: better the plain server.
    Reflect.apply(IncomingMessage, Object.create(requestPrototype), [null]);
    Reflect.apply(ServerResponse, Object.create(responsePrototype), [
      { method: "GET", httpVersionMajor: 1, httpVersionMinor: 1 },
    ]);
    return made;
  } catch {
    return {};
  }
}

/**
 * A constructor that runs `base` on objects with exactly `prototype`. A subclass would not do: its instances have the
 * subclass's own prototype, and Express would change it after all. Reflect.construct does, at 200 times the cost.
 */
function withPrototype<Base extends typeof IncomingMessage | typeof ServerResponse>(
  base: Base,
  prototype: object,
  slot: symbol | null,
): Base {
  function Made(this: object, ...given: unknown[]): void {
    Reflect.apply(base, this, given);
    if (slot !== null) Reflect.set(this, slot, undefined);
  }
  Object.defineProperty(Made, "prototype", { value: prototype });
  Object.defineProperty(Made, "name", { value: base.name });
  const made: unknown = Made;
  assertLike(made, base);
  return made;
}

/** A function with the base's signature and instances is what Node takes for the base. */
function assertLike<Base>(made: unknown, base: Base): asserts made is Base {
  if (typeof made !== typeof base) throw new TypeError("expected a constructor");
}
