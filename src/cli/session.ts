import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";

import type { Settings } from "../config/settings.ts";
import { MeterbookError } from "../core/errors.ts";
import { loadConfig } from "../runtime/load-config.ts";
import { openNode, type MeterNode } from "../runtime/node.ts";
import { journalRoot } from "../runtime/journal-root.ts";
import { systemClock } from "../runtime/system.ts";
import { output, type Output } from "./output.ts";

/** Options that every command has. */
export interface CommonOptions {
  readonly config?: string;
  readonly db?: string;
  readonly json?: boolean;
}

/** The configuration for a command. Its warnings are `check`'s and `doctor`'s to tell. */
export function settingsFor(options: CommonOptions): Settings {
  const loaded = loadConfig({ config: options.config, directory: process.cwd(), env: process.env });
  if (!loaded.found) {
    throw new MeterbookError("METER_CONFIG_NOT_FOUND", `There is no meterbook.yaml in ${process.cwd()}.`, {
      remedy: "Run `meterbook init`, or name the file with --config.",
    });
  }
  const { settings } = loaded;
  return options.db === undefined
    ? settings
    : { ...settings, storage: { ...settings.storage, path: resolve(options.db) } };
}

/** That edits of the file are not in force: only an app that starts adopts them. */
export function differenceText({ file }: Settings, differs: readonly string[]): string {
  const name = file === null ? "The configuration" : basename(file);
  return `${name} differs from what the app counts by (${differs.join(", ")}); edits take effect when the app starts.`;
}

/**
 * Opens the database beside the journals, takes what is in the journals into it, and runs the command.
 * Reading commands therefore see every answered request, also those of a process that was killed.
 */
export async function withNode(
  options: CommonOptions,
  work: (node: MeterNode, out: Output) => Promise<number | void>,
  { startsApp }: { readonly startsApp?: boolean } = {},
): Promise<number> {
  const out = output({ json: options.json === true });
  const settings = settingsFor(options);
  // A misspelt path must not read as "no usage", and a command that reads makes no database.
  if (startsApp !== true && !existsSync(settings.storage.path) && !existsSync(journalRoot(settings))) {
    throw new MeterbookError("METER_STORE_UNREADABLE", `There is no database ${settings.storage.path} yet.`, {
      remedy: `${settings.metering === undefined ? "It is made" : "Run `meterbook provision` to make it, with the guides of the configuration; or it is made"} when the app starts with meter(). Otherwise look at storage.path, or --db.`,
    });
  }
  const node = await openNode({
    settings,
    clock: systemClock,
    ownWriter: null,
    adoptFrom: null,
    onNotice: (notice) => out.hint(`${notice.code}: ${notice.text}`),
  });
  if (node.differs.length > 0 && startsApp !== true) out.hint(differenceText(settings, node.differs));
  try {
    await node.drainAll();
    return (await work(node, out)) ?? 0;
  } finally {
    out.progress(null);
    await node.close();
  }
}
