import type { IncomingMessage } from "node:http";

import { parseExactJson } from "../core/exact-json.ts";
import { tappedText } from "./body-tap.ts";
import type { Exchange } from "./exchange.ts";
import type { LiveExchange } from "./identity.ts";

/** An exchange as identity paths look into it. */
export function liveExchange(exchange: Exchange): LiveExchange {
  return new LiveView(exchange);
}

/** A class for the reason that WatchedExchange is one: a literal would keep the whole request in V8's old space. */
class LiveView implements LiveExchange {
  readonly request: LiveExchange["request"];
  readonly response: LiveExchange["response"];
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    this.request = exchange.request;
    this.response = exchange.response;
    this.#exchange = exchange;
  }

  body(side: "request" | "response"): unknown {
    return liveBody(this.#exchange, side);
  }
}

function liveBody(exchange: Exchange, side: "request" | "response"): unknown {
  const { body } = exchange.request as IncomingMessage & { readonly body?: unknown };
  if (side === "request" && body !== undefined) return body;
  const tap = side === "request" ? exchange.requestTap : exchange.responseTap;
  const text = tap === null ? null : tappedText(tap);
  if (text === null || text === "") return undefined;
  try {
    return parseExactJson(text);
  } catch {
    return undefined;
  }
}
