import { fsyncSync, openSync, closeSync, chmodSync } from "node:fs";

import { MeterbookError } from "../core/errors.ts";
import { Connection } from "./connection.ts";
import { loadDriver } from "./driver.ts";

/** Pages copied in one step; between two the process does what else it has to do. */
const STEP_PAGES = 2_000;

export interface BackupOptions {
  /** The database, which others go on using. */
  readonly path: string;
  /** The copy; it must not be there. */
  readonly target: string;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Copies a database as it is at one instant into a file of its own, whole and on the disk when it resolves. Others read
 * and write meanwhile: an open snapshot keeps the copying from beginning anew with each of their commits.
 */
export async function backupDatabase({ path, target, onProgress }: BackupOptions): Promise<void> {
  const driver = await loadDriver();
  const source = new Connection(driver, path, true);
  try {
    source.sql("BEGIN").run();
    source.sql("SELECT count(*) FROM meta").get();
    await source.db.backup(target, {
      progress: ({ totalPages, remainingPages }) => {
        onProgress?.(totalPages - remainingPages, totalPages);
        return STEP_PAGES;
      },
    });
  } finally {
    source.close();
  }
  chmodSync(target, 0o600);
  await prove(target);
  const descriptor = openSync(target, "r+");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** One file without a log beside it, which SQLite finds whole. METER_STORE_UNREADABLE when it does not. */
async function prove(target: string): Promise<void> {
  const driver = await loadDriver();
  const copy = new driver(target, { fileMustExist: true });
  try {
    copy.pragma("journal_mode = DELETE");
    const found = String(copy.pragma("integrity_check", { simple: true }));
    if (found === "ok") return;
    throw new MeterbookError("METER_STORE_UNREADABLE", `The copy ${target} is damaged: ${found}.`, {
      remedy: "The database itself may be damaged: run `meterbook verify`, and keep the last good backup.",
    });
  } finally {
    copy.close();
  }
}
