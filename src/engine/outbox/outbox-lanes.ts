import { limits } from "../limits.ts";
import type { OutboxRow, StoreView } from "../ports.ts";

type Bounds = Pick<Parameters<StoreView["outbox"]>[0], "timestampFrom" | "timestampTo" | "windowFrom" | "windowTo">;
type Rows = Pick<StoreView, "laneTotals" | "outbox">;

/** The rows of one (meter, company), a page at a time, oldest window first: memory holds one page. */
export interface RowLane {
  readonly meter: string;
  readonly company: string;
  readonly pages: AsyncGenerator<readonly OutboxRow[]>;
}

/** The lanes that have rows, with those of their rows that lie within the bounds. */
export async function* rowLanes(
  store: Rows,
  bounds: Bounds,
  pageMax: number = limits.outboxPageMax,
): AsyncGenerator<RowLane> {
  for (const { meter, company } of await store.laneTotals())
    yield { meter, company, pages: rowPages(store, { meter, company, ...bounds }, pageMax) };
}

async function* rowPages(
  store: Rows,
  query: Bounds & { readonly meter: string; readonly company: string },
  pageMax: number,
): AsyncGenerator<readonly OutboxRow[]> {
  let limit = pageMax;
  let { windowFrom } = query;
  let next = -Infinity;
  for (;;) {
    const page = await store.outbox({ ...query, ...(windowFrom === undefined ? {} : { windowFrom }), limit });
    const fresh = page.filter(({ windowStart }) => windowStart >= next);
    const last = page.at(-1)?.windowStart;
    if (last === undefined || page.length < limit) {
      yield fresh;
      return;
    }
    // The rows of the last window may not all be there: it begins the next page.
    const whole = fresh.filter(({ windowStart }) => windowStart < last);
    if (whole.length === 0) limit *= 2;
    else yield whole;
    next = last;
    windowFrom = last;
  }
}
