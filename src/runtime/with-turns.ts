import type { Store, StoreView } from "../engine/ports.ts";
import { systemTurn } from "./system.ts";

/**
 * A store whose long readings let everything else have its turn between two pages: reading a file waits for nothing, so
 * an order that looks at the whole past would keep every other call of its thread waiting.
 */
export function withTurns(store: Store): Store {
  return {
    ...store,
    ...pages(store),
    snapshot: async () => {
      const view = await store.snapshot();
      return { ...view, ...pages(view) };
    },
  };
}

function pages(view: StoreView): Pick<StoreView, "events" | "eventsInSpan"> {
  return {
    events: async (query) => turned(await view.events(query)),
    eventsInSpan: async (query) => turned(await view.eventsInSpan(query)),
  };
}

async function turned<Answer>(answer: Answer): Promise<Answer> {
  await systemTurn();
  return answer;
}
