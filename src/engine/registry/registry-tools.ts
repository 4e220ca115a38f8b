import type { Clock, Store } from "../ports.ts";
import { attributionCache } from "./attribution.ts";
import type { Attribution } from "./customer.ts";
import type { RandomBytes } from "./entry-id.ts";

/** What the calls about customers, subjects and meters work with. */
export interface RegistryTools {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** The newest attribution. */
  readonly attribution: () => Promise<Attribution>;
}

/** The tools over one store; made once, since they remember the customers. */
export function registryTools(store: Store, clock: Clock, random: RandomBytes): RegistryTools {
  return { store, clock, random, attribution: attributionCache(store) };
}
