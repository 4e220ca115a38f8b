import type { Store } from "../../src/engine/ports.ts";
import type { Actor, Scheduler } from "./scheduler.ts";

/**
 * The store as one actor sees it: every method is a port, before and after its effect, so that a crash can fall between a
 * call and its answer as well as before it. A snapshot is read at once: it has no effect to lose.
 */
export function atPorts(store: Store, scheduler: Scheduler, actor: Actor): Store {
  const known = new Map<string | symbol, unknown>();
  return new Proxy(store, {
    get(target, name) {
      if (!known.has(name)) known.set(name, portOf(target, name));
      return known.get(name);
    },
  });

  function portOf(target: Store, name: string | symbol): unknown {
    const member: unknown = Reflect.get(target, name, target);
    if (typeof member !== "function" || name === "snapshot" || name === "close") return bound(member, target);
    return async (...given: readonly unknown[]): Promise<unknown> => {
      await scheduler.turn(actor, `store.${String(name)}`);
      const answer: unknown = await Reflect.apply(member, target, given);
      await scheduler.turn(actor, `store.${String(name)} done`);
      return answer;
    };
  }
}

function bound(member: unknown, target: object): unknown {
  return typeof member === "function" ? (...given: readonly unknown[]) => Reflect.apply(member, target, given) : member;
}
