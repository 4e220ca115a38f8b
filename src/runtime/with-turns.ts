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
  return {
    events: async (query) => turned(await view.events(query)),
    eventsInSpan: async (query) => turned(await view.eventsInSpan(query)),
  };
}

async function turned<Answer>(answer: Answer): Promise<Answer> {
  await systemTurn();
  return answer;
}
