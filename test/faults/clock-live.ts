import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import SqliteDatabase from "better-sqlite3";
import { onTestFinished } from "vitest";

import { faketimeLibrary } from "./needs.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
/** How far in a minute a clock stands that is early in it. */
const EARLY_MS = 10 * SECOND_MS;

/** The clock of running processes: libfaketime reads its offset from a file at every look, and leaves timers alone. */
export class LiveClock {
  readonly environment: Readonly<Record<string, string>>;
  private readonly path: string;

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), "meterbook-clock-"));
    onTestFinished(() => {
      rmSync(folder, { recursive: true, force: true });
      removeLeftovers();
    });
    this.path = join(folder, "offset");
    this.set(0);
    this.environment = {
      LD_PRELOAD: faketimeLibrary() ?? "",
      FAKETIME_TIMESTAMP_FILE: this.path,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      STRIPE_API_KEY: "sk_test_faults",
    };
  }

  /** In one step, so that nobody reads half an offset. */
  set(offsetMs: number): void {
    const seconds = Math.round(offsetMs / SECOND_MS);
    writeFileSync(`${this.path}.new`, `${seconds < 0 ? "" : "+"}${seconds}\n`);
    renameSync(`${this.path}.new`, this.path);
  }
}

const SHARED_MEMORY = "/dev/shm";

/** A killed process leaves what libfaketime shares among its threads: the next one with its number would not start. */
function removeLeftovers(): void {
  for (const name of existsSync(SHARED_MEMORY) ? readdirSync(SHARED_MEMORY) : []) {
    const pid = /^(?:sem\.faketime_sem|faketime_shm)_(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(SHARED_MEMORY, name), { force: true });
  }
}

/** The least offset from `leastMs` on by which it is early in a minute: no window ends while a jump is looked at. */
export function earlyInMinute(leastMs: number): number {
  const now = Date.now() + leastMs;
  return leastMs + ((MINUTE_MS + EARLY_MS - (now % MINUTE_MS)) % MINUTE_MS);
}

/** Usage before an instant that is not closed, and reports that are not answered. */
export function onTheWay(folder: string, before: number): unknown {
  const db = new SqliteDatabase(join(folder, "meter.db"), { readonly: true });
  try {
    return db
      .prepare(
        `SELECT (SELECT count(*) FROM dirty WHERE start < ?) AS open,
         (SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending')) AS unanswered`,
      )
      .get(before);
  } finally {
    db.close();
  }
}
