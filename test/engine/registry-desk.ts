import type { Store } from "../../src/engine/ports.ts";
import { registryTools, type RegistryTools } from "../../src/engine/registry/registry-tools.ts";
import { manualClock, type ManualClock } from "../../src/testing/manual-clock.ts";
import { START } from "./world.ts";

/** The tools over a store, with a clock that the test moves and randomness that counts up. */
export interface Desk extends RegistryTools {
  readonly clock: ManualClock;
}

let drawn = 0;

export function deskOf(store: Store): Desk {
  const clock = manualClock(START);
  return { ...registryTools(store, clock, countUp), clock };
}

function countUp(size: number): Uint8Array {
  drawn += 1;
  return Uint8Array.from({ length: size }, (_, at) => Math.floor(drawn / 32 ** (size - 1 - at)) % 32);
}

export const AUTHOR = "key:mb_test";
