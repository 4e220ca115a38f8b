import type { Store } from "../engine/ports.ts";
import { attemptCases } from "./store-suite/attempt-cases.ts";
import { bookCases } from "./store-suite/book-cases.ts";
import { additionCases, changeCases } from "./store-suite/change-cases.ts";
import { closingCases } from "./store-suite/closing-cases.ts";
import { correctionCases } from "./store-suite/correction-cases.ts";
import { dayCases } from "./store-suite/day-cases.ts";
import { eventCases } from "./store-suite/event-cases.ts";
import { factCases } from "./store-suite/fact-cases.ts";
import { heldCases } from "./store-suite/held-cases.ts";
import { outboxCases } from "./store-suite/outbox-cases.ts";
import { forgetCases } from "./store-suite/forget-cases.ts";
import { passingCases } from "./store-suite/passing-cases.ts";
import { registerCases } from "./store-suite/register-cases.ts";

import { sentCases } from "./store-suite/sent-cases.ts";
import type { StoreCase } from "./store-suite/store-case.ts";
import { usageCases } from "./store-suite/usage-cases.ts";

/** A new, empty store of one test. */
export interface MadeStore {
  /** Its bucketMs must be STORE_SUITE_BUCKET_MS. */
  readonly store: Store;
  /** Opens what the store kept once more, after it was closed; absent for a store that keeps nothing. */
  readonly reopen?: () => Promise<Store>;
  /** Removes everything, the store closed or not. */
  readonly dispose: () => Promise<void>;
}

/** The part of a test runner that the suite needs: vitest, jest and bun have it; node:test with a short `expect`. */
export interface SuiteHarness {
  readonly describe: (name: string, body: () => void) => void;
  readonly it: (name: string, body: () => Promise<void>) => void;
  /** `toEqual` compares deeply, Sets and BigInts included. */
  readonly expect: (actual: unknown) => { toEqual(expected: unknown): void };
}

export { SUITE_BUCKET_MS as STORE_SUITE_BUCKET_MS } from "./store-suite/store-case.ts";

const CASES: readonly StoreCase[] = [
  ...eventCases,
  ...sentCases,
  ...usageCases,
  ...dayCases,
  ...correctionCases,
  ...outboxCases,
  ...closingCases,
  ...attemptCases,
  ...passingCases,
  ...heldCases,
  ...changeCases,
  ...additionCases,
  ...bookCases,
  ...factCases,
  ...forgetCases,
  ...registerCases,
];

/**
 * What every Store must do, as tests: `storeSuite("my store", makeMyStore, { describe, it, expect })`.
 * Each case gets a store of its own from `makeStore`.
 */
export function storeSuite(name: string, makeStore: () => Promise<MadeStore>, harness: SuiteHarness): void {
  harness.describe(name, () => {
    for (const { title, run } of CASES) {
      harness.it(title, async () => {
        const made = await makeStore();
        try {
          await run({
            store: made.store,
            reopen: async () => {
              if (made.reopen === undefined) return made.store;
              await made.store.close();
              return made.reopen();
            },
            same: (actual, expected) => harness.expect(actual).toEqual(expected),
          });
        } finally {
          await made.dispose();
        }
      });
    }
  });
}
