import { join } from "node:path";

import SqliteDatabase from "better-sqlite3";
import { beforeEach, expect, it, onTestFinished } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import { earlyInMinute, LiveClock, onTheWay } from "./clock-live.ts";
import { depth, testRandom } from "./depth.ts";
import { recordFigures } from "./figures.ts";
import { openFrozenDoor } from "./frozen-door.ts";
import { load } from "./load.ts";
import { startApp, type MeteredApp } from "./metered-app.ts";
import { needs } from "./needs.ts";
import { expectWhole, figuresOf, startOracle } from "./oracle.ts";
import { emptyFolder, ended, programEnvironment, startStripeProgram, writeConfiguration } from "./place.ts";
import { settleReports } from "./settle.ts";

const MINUTE_MS = 60_000;
/** Longer than the lease of a row and of a reporter; and longer than Stripe remembers what it has counted. */
const freezes = [
  ["five minutes", 5 * MINUTE_MS],
  ["25 hours", 25 * 60 * MINUTE_MS],
] as const;
const WAIT_MS = 60_000;
const ROUNDS = depth({ ci: 2, long: 30 });
/** Each has a report of its own: several are under way when the freeze comes. */
const COMPANIES = Array.from({ length: 24 }, (_, at) => `company-${at}`);
const REQUESTS = 240;

/** The reports as they stand: what a thawed reporter must not touch. That Stripe's books were found to show one is no touch. */
function reportsIn(folder: string): { readonly rows: readonly unknown[]; readonly identifiers: ReadonlySet<string> } {
  const db = new SqliteDatabase(join(folder, "meter.db"), { readonly: true });
  try {
    const rows = db
      .prepare<[], { identifier: string | null; state: string }>("SELECT * FROM outbox ORDER BY row_id")
      .all();
    const standing = rows.map((row) => ({
      ...row,
      state: row.state === "settled" ? "accepted" : row.state,
      settled_at: null,
    }));
    return { rows: standing, identifiers: new Set(rows.flatMap(({ identifier }) => identifier ?? [])) };
  } finally {
    db.close();
  }
}

beforeEach((context) => needs(context, "libfaketime"));

it.each(freezes)(
  "a reporter frozen for %s in the middle of delivery, thawed after another's work, changes nothing and bills nothing again",
  async (name, freezeMs) => {
    const random = testRandom();
    const folder = emptyFolder();
    const clock = new LiveClock();
    const oracle = await startOracle();
    onTestFinished(() => oracle.close());
    const stripe = await startStripeProgram(COMPANIES);
    const door = await openFrozenDoor(stripe.url);
    // One configuration for all: the reporter that will be frozen finds Stripe behind the door.
    writeConfiguration(folder, `\${STRIPE_API_BASE:-${stripe.url}}`);
    let offsetMs = earlyInMinute(0);
    const advance = async (byMs: number): Promise<void> => {
      offsetMs = earlyInMinute(offsetMs + byMs);
      clock.set(offsetMs);
      await stripe.setOffset(offsetMs);
    };
    const start = (url: string): MeteredApp =>
      startApp({ folder, env: { ...clock.environment, STRIPE_API_BASE: url } });
    const use = async (app: MeteredApp, prefix: string): Promise<void> => {
      const { failures } = await load({
        port: await app.port,
        oracle,
        random,
        prefix,
        companies: COMPANIES,
        requests: REQUESTS,
        onAnswer: (token) => oracle.acknowledged(token),
      });
      expect(failures).toEqual([]);
      expect(await app.flush()).toBeNull();
    };
    const reported = async (): Promise<void> => {
      const before = Math.floor((Date.now() + offsetMs) / MINUTE_MS) * MINUTE_MS;
      await expect.poll(() => onTheWay(folder, before), { timeout: WAIT_MS }).toEqual({ open: 0, unanswered: 0 });
    };

    await advance(0);
    const frozen = start(door.url);
    let underWay = 0;
    for (let round = 1; round <= ROUNDS; round++) {
      await use(frozen, `${round}-before`);
      const passes = random.between(0, COMPANIES.length - limits.lanesMax);
      let counted = 0;
      const isFrozen = new Promise<void>((resolve) => {
        door.onCounted = () => {
          if (++counted <= passes) return false;
          // All its lanes wait for Stripe, which has counted: the freeze finds it in no transaction, whose lock would stop all.
          if (counted === passes + limits.lanesMax) resolve();
          return true;
        };
      });
      await advance(2 * MINUTE_MS);
      await isFrozen;
      frozen.child.kill("SIGSTOP");

      await advance(freezeMs);
      const other = start(stripe.url);
      await other.port;
      await reported();
      await ended(other.child);
      const before = reportsIn(folder);
      const passedBefore = door.passed.length;

      underWay += door.release();
      frozen.child.kill("SIGCONT");
      // It goes on with its round, fails, and does its next work as if nothing had been.
      await use(frozen, `${round}-after`);
      await advance(2 * MINUTE_MS);
      await reported();
      expect(reportsIn(folder).rows.slice(0, before.rows.length)).toEqual(before.rows);
      // It reports again: what was asserted was not that of a dead process.
      expect(door.passed.slice(passedBefore).filter((sent) => !before.identifiers.has(sent)).length).toBeGreaterThan(0);
    }
    await ended(frozen.child);

    offsetMs = await settleReports(folder, stripe, offsetMs);
    const env = programEnvironment(offsetMs);
    const verdict = await oracle.check({ directory: folder, stripeUrl: stripe.url, env });
    recordFigures({
      test: `a reporter frozen for ${name}`,
      rounds: ROUNDS,
      ...figuresOf(verdict),
      note: `${underWay} reports were counted and unanswered while it was frozen`,
    });
    expectWhole(verdict);
    expect(underWay).toBe(ROUNDS * limits.lanesMax);
  },
);
