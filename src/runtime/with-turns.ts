import type { Store, StoreView } from "../engine/ports.ts";
import type { RegistryTools } from "../engine/registry/registry-tools.ts";
import { systemTurn } from "./system.ts";

/**
 * A store whose long readings let everything else have its turn between two pages: reading a file waits for nothing, so
 * an order that looks at the whole past would keep every other call of its thread waiting.
 */
function withTurns(store: Store): Store {
  return {
    ...store,
    ...pages(store),
    snapshot: async () => {
      const view = await store.snapshot();
      return { ...view, ...pages(view) };
    },
  };
}

/** The tools of an order that looks at the whole past. */
export function toolsWithTurns({ store, clock, random, attribution }: RegistryTools): RegistryTools {
  return { store: withTurns(store), clock, random, attribution };
}

function pages(view: StoreView): Pick<StoreView, "events" | "eventsInSpan"> {
  let read = 0;
  return {
    // What arrived meanwhile is caught up with many pages at a time: a turn after each would let as much arrive again.
    events: async (query) => {
      const page = await view.events(query);
      read += 1;
      return read % CAUGHT_UP_PAGES === 0 ? turned(page, query.limit) : page;
    },
    eventsInSpan: async (query) => turned(await view.eventsInSpan(query), query.limit),
  };
}

/** Pages of catching up between two turns. */
const CAUGHT_UP_PAGES = 8;

/** The last page is followed by writing, which is to come before anything else arrives. */
async function turned<Row>(page: readonly Row[], limit: number): Promise<readonly Row[]> {
  if (page.length >= limit) await systemTurn();
  return page;
}
