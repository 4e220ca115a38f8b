import { rmSync, statSync } from "node:fs";
import { resolve } from "node:path";

import { Command } from "commander";

import { MeterbookError } from "../../core/errors.ts";
import { verify } from "../../engine/books/verify.ts";
import { loadCatalog } from "../../engine/ingest/catalog-versions.ts";
import type { StoreCounts } from "../../engine/ports.ts";
import { systemClock } from "../../runtime/system.ts";
import { backupDatabase } from "../../sqlite/backup.ts";
import { openSqliteStore } from "../../sqlite/sqlite-store.ts";
import { giveName, refuseExisting } from "../file-name.ts";
import { grouped, numbered, type Output } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";
import type { MeterNode } from "../../runtime/node.ts";

interface BackupCommandOptions extends CommonOptions {
  readonly quick?: boolean;
}

/** What a backup was found to hold when it was opened. */
interface BackupFinding {
  readonly counts: StoreCounts;
  /** Sums that do not match; null = not looked at. */
  readonly differences: readonly string[] | null;
}

/** `meterbook backup FILE`: a copy of the database while it is used, opened and proved before it gets its name. */
export function backupCommand(): Command {
  return new Command("backup")
    .description("Copy the database while it is in use, and prove the copy by opening it")
    .argument("<file>", "where the copy is made; a file that is there is never replaced")
    .option("--quick", "do not recompute the copy's sums from its events")
    .addHelpText(
      "after",
      "\nWhat lies in journals is taken into the database first, so the copy has every answered request of before.\nTo restore: stop everything, put the file where storage.path says, remove what is beside it (-wal, -shm), start.\nExits 1 when the copy's sums do not match.\nExample: meterbook backup backups/2026-11-22.db",
    )
    .action(async (file: string, options: BackupCommandOptions) => {
      process.exitCode = await withNode(options, (node, out) => backUp(node, out, resolve(file), options));
    });
}

async function backUp(node: MeterNode, out: Output, file: string, { quick }: BackupCommandOptions): Promise<number> {
  refuseExisting(file, "A backup never replaces a file: name another one.");
  const part = `${file}.${process.pid}.part`;
  const clear = (): void => ["", "-wal", "-shm", "-journal"].forEach((end) => rmSync(`${part}${end}`, { force: true }));
  try {
    const onProgress = (done: number, total: number): void =>
      out.progress(`${Math.floor((100 * done) / total)} % copied`);
    await copyInto(node, part, onProgress);
    const found = await look(node, part, quick === true, out);
    giveName(part, file, false);
    tell(out, file, found);
    return (found.differences ?? []).length === 0 ? 0 : 1;
  } finally {
    clear();
  }
}

async function copyInto(
  node: MeterNode,
  part: string,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  try {
    await backupDatabase({ path: node.settings.storage.path, target: part, onProgress });
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new MeterbookError("METER_COMMAND_INVALID", `${part} cannot be written: ${cause.message}`, {
      cause,
      remedy: "Name a file in a folder that is there and that this user may write.",
    });
  }
}

/** Opens the copy as any program would, and sums it up. */
async function look(node: MeterNode, part: string, isQuick: boolean, out: Output): Promise<BackupFinding> {
  const copy = await openSqliteStore({ path: part, bucketMs: node.store.bucketMs, readOnly: true });
  try {
    const counts = await copy.counts();
    if (isQuick) return { counts, differences: null };
    const { catalog } = await loadCatalog(copy, node.settings, systemClock.now(), { adopt: false });
    const onProgress = (events: number): void => out.progress(`${grouped(String(events))} events proved`);
    const { differences } = await verify(copy, catalog, { onProgress });
    return { counts, differences };
  } finally {
    await copy.close();
    out.progress(null);
  }
}

function tell(out: Output, file: string, { counts, differences }: BackupFinding): void {
  const { size } = statSync(file);
  if (out.json) {
    const verified = differences === null ? null : differences.length === 0;
    return out.record({ file, bytes: size, events: counts.events, held: counts.heldEvents, verified, differences });
  }
  out.line(`${file}: ${numbered(counts.events, "event")}, ${grouped(String(size))} bytes`);
  if (differences === null) return out.line("✓ it opens and its pages are whole; its sums were not recomputed");
  for (const difference of differences) out.line(`✗ ${difference}`);
  out.line(
    differences.length === 0
      ? "✓ it opens, its pages are whole, and every sum matches"
      : "✗ its sums do not match, as those of the database may not: run `meterbook verify`",
  );
}
