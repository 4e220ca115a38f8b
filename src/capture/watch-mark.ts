import type { ServerResponse } from "node:http";

import type { Exchange } from "./exchange.ts";

/** Where a response carries who has seen it. From the global registry: two copies of this package must not both meter. */
export const WATCHED: unique symbol = Symbol.for("meterbook.exchange");

/** That one capture has seen a response, and whether it records it. */
export interface WatchMark {
  /** The capture. */
  readonly owner: object;
  /** Identity of the database that it records to; null when it is not known. */
  readonly book: string | null;
  /** Null = left alone. */
  readonly exchange: Exchange | null;
  readonly before: WatchMark | null;
}

/** A class for the reason that WatchedExchange is one: a literal would keep the whole request in V8's old space. */
export class Mark implements WatchMark {
  readonly owner: object;
  readonly book: string | null;
  readonly exchange: Exchange | null;
  readonly before: WatchMark | null;

  constructor(owner: object, book: string | null, exchange: Exchange | null, before: WatchMark | null) {
    this.owner = owner;
    this.book = book;
    this.exchange = exchange;
    this.before = before;
  }
}

/** A response that may have been seen already. */
export interface WatchedResponse extends ServerResponse {
  [WATCHED]?: WatchMark | undefined;
}

/** The mark that a capture left on a response. */
export function markOf(owner: object, last: WatchMark | null): WatchMark | null {
  for (let mark = last; mark !== null; mark = mark.before) if (mark.owner === owner) return mark;
  return null;
}

/** Who records the exchange for this book already. Only two books that are known to differ may both have it. */
export function recordingMark(book: string | null, last: WatchMark | null): WatchMark | null {
  for (let mark = last; mark !== null; mark = mark.before) {
    const isOther = book !== null && mark.book !== null && mark.book !== book;
    if (mark.exchange !== null && !isOther) return mark;
  }
  return null;
}

/** The exchange that was watched last, of whatever book. */
export function lastExchange(last: WatchMark | null): Exchange | null {
  for (let mark = last; mark !== null; mark = mark.before) if (mark.exchange !== null) return mark.exchange;
  return null;
}
