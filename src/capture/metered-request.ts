import type { IncomingMessage } from "node:http";

/** What `req.meter` offers a handler. Nothing here ever throws into the request. */
export interface RequestMeter {
  /**
   * Adds a value that has no header: tokens known only at the end of a stream, bytes, seconds. Values of one name add up
   * exactly. Takes a number, a bigint or a decimal string; anything else is told to onError and holds the event. Meters
   * read it as `values.<name>`. After the response has ended it is too late: told to onError, not counted.
   */
  add(name: string, amount: number | bigint | string): void;
  /** The route template to record, such as `/v1/:tenant/items/:id`: for mounted routers and for servers without a router. */
  route: string | null | undefined;
  /** Leaves this request out: no event is recorded. */
  skip(): void;
}

/** `req.meter` of a request that is not metered: handlers need not know. */
export function inertMeter(): RequestMeter {
  return { add: () => undefined, route: undefined, skip: () => undefined };
}

/** `req.meter` of a request that two books record: what a handler says, both hear. */
export function joinedMeter(one: RequestMeter, other: RequestMeter): RequestMeter {
  return {
    add(name, amount) {
      one.add(name, amount);
      other.add(name, amount);
    },
    get route() {
      return other.route;
    },
    set route(route) {
      one.route = route;
      other.route = route;
    },
    skip() {
      one.skip();
      other.skip();
    },
  };
}

/** The request as hooks see it: Node's own, plus what Express and its middleware add. Absent on plain node:http and Connect. */
export interface HookRequest extends IncomingMessage {
  readonly originalUrl?: string;
  readonly baseUrl?: string;
  readonly route?: unknown;
  readonly params?: unknown;
  readonly query?: unknown;
  readonly body?: unknown;
  /** Who auth middleware found, whatever its type. */
  readonly user?: unknown;
  readonly meter?: RequestMeter;
  /** Express's `req.get(name)`; plain node:http has only `req.headers`. */
  get(name: string): string | undefined;
}

/** A request behind the middleware: `(req as MeteredRequest).meter.add("tokens", 120)`. */
export interface MeteredRequest extends IncomingMessage {
  meter: RequestMeter;
}

declare global {
  // Express takes its request's type from this namespace: behind the middleware `req.meter` needs no cast.
  namespace Express {
    interface Request {
      meter: RequestMeter;
    }
  }
}
