import { describe, onTestFinished } from "vitest";

import type { Store } from "../../src/engine/ports.ts";
import { memoryStore } from "../../src/memory/memory-store.ts";
import { tempStore } from "../sqlite/temp-store.ts";
import { MINUTE } from "./world.ts";

/** Makes a new, empty store, which is gone after the test. */
export type MakeStore = () => Promise<Store>;

/** Runs the same tests on each store: what corrections promise rests on the engine and the store together. */
export function onBothStores(name: string, body: (make: MakeStore) => void): void {
  describe(`${name}, in memory`, () => {
    body(async () => memoryStore({ bucketMs: MINUTE }));
  });
  describe(`${name}, in SQLite`, () => {
    body(async () => {
      const { store, dispose } = await tempStore();
      onTestFinished(dispose);
      return store;
    });
  });
}
