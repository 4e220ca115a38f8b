import { readFileSync } from "node:fs";

import { Command, Option } from "commander";

import { MeterbookError } from "../core/errors.ts";
import { nearName } from "../core/near-name.ts";
import { backupCommand } from "./commands/backup.ts";
import { checkCommand } from "./commands/check.ts";
import { compareCommand } from "./commands/compare.ts";
import { correctCommand } from "./commands/correct.ts";
import { demoCommand } from "./commands/demo.ts";
import { devCommand } from "./commands/dev.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { eventsCommand } from "./commands/events.ts";
import { explainCommand } from "./commands/explain.ts";
import { exportCommand } from "./commands/export.ts";
import { heldCommand } from "./commands/held.ts";
import { keysCommand } from "./commands/keys.ts";
import { initCommand } from "./commands/init.ts";
import { outboxCommand } from "./commands/outbox.ts";
import { previewCommand } from "./commands/preview.ts";
import { provisionCommand } from "./commands/provision.ts";
import { purgeCommand } from "./commands/purge.ts";
import { rebuildCommand } from "./commands/rebuild.ts";
import { recordsCommand } from "./commands/records.ts";
import { reconcileCommand } from "./commands/reconcile.ts";
import { replayCommand } from "./commands/replay.ts";
import { serveCommand } from "./commands/serve.ts";
import { reportCommand } from "./commands/report.ts";
import { statusCommand } from "./commands/status.ts";
import { stripeLocalCommand } from "./commands/stripe-local.ts";
import { usageCommand } from "./commands/usage.ts";
import { verifyCommand } from "./commands/verify.ts";
import { failure, isJsonWanted } from "./failure.ts";

const COMMANDS = [
  initCommand,
  demoCommand,
  stripeLocalCommand,
  devCommand,
  serveCommand,
  keysCommand,
  checkCommand,
  previewCommand,
  explainCommand,
  usageCommand,
  eventsCommand,
  heldCommand,
  provisionCommand,
  recordsCommand,
  purgeCommand,
  statusCommand,
  reportCommand,
  reconcileCommand,
  outboxCommand,
  correctCommand,
  replayCommand,
  compareCommand,
  verifyCommand,
  rebuildCommand,
  exportCommand,
  backupCommand,
  doctorCommand,
];

/** Commands that read no configuration of the user's, and those that open no database. */
const WITHOUT_CONFIG: readonly string[] = ["demo", "stripe-local"];
const WITHOUT_DATABASE: readonly string[] = [...WITHOUT_CONFIG, "init", "check"];

/** The whole command line, made for these words and not run yet; a test parses with it in its own process. */
export function program(args: readonly string[]): Command {
  const { version }: { version: string } = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  );
  const root = new Command("meterbook")
    .description(
      "Metering and billing for APIs: one line of middleware, one file of meters, one database, Stripe at the end.",
    )
    .version(version);
  const isJson = isJsonWanted(args);
  answerMistakes(root, isJson);
  for (const make of COMMANDS) {
    const command = make();
    withCommonOptions(command);
    root.addCommand(command);
    for (const each of [command, ...command.commands]) answerMistakes(each, isJson);
    if (command.commands.length > 0) refuseStrayWords(command);
  }
  return root.addHelpText("after", "\nFirst steps: meterbook demo · meterbook init · meterbook dev -- node server.js");
}

/** Runs the command that the words name. Its outcome is in `process.exitCode`; it never throws. */
export async function runCommand(args: readonly string[], root: Command = program(args)): Promise<void> {
  try {
    await root.parseAsync(args, { from: "user" });
  } catch (error) {
    process.exitCode = failure(error, args);
  }
}

/** Adds the options that all commands share, to a group of commands through each of its members. */
function withCommonOptions(command: Command): void {
  if (command.commands.length > 0) {
    for (const child of command.commands) withCommonOptions(child);
    return;
  }
  if (!WITHOUT_CONFIG.includes(command.name()))
    command.addOption(
      new Option("-c, --config <file>", "configuration file (default: meterbook.yaml and its kin here)"),
    );
  if (!WITHOUT_DATABASE.includes(command.name()))
    command.addOption(new Option("--db <file>", "database file, instead of storage.path"));
  command.addOption(new Option("--json", "machine-readable output: one JSON value a line"));
}

/** Mistakes are thrown, with what was probably meant, and told by failure() in the same form as every other error. */
function answerMistakes(command: Command, isJson: boolean): void {
  command.exitOverride().showSuggestionAfterError(true);
  command.configureOutput({ outputError: () => undefined, ...(isJson ? { writeErr: () => undefined } : {}) });
}

/** `outbox shwo`: a group's own command must not take another one's misspelt name for an argument too many. */
function refuseStrayWords(group: Command): void {
  for (const child of group.commands) if (child.registeredArguments.length === 0) child.allowExcessArguments();
  group.hook("preAction", (_group, child) => {
    const [stray] = child.args;
    if (child.registeredArguments.length > 0 || stray === undefined) return;
    const names = group.commands.map((each) => each.name());
    const near = nearName(stray, names);
    throw new MeterbookError("METER_COMMAND_INVALID", `unknown command '${stray}' of ${group.name()}`, {
      remedy: `${near === null ? `There are ${names.join(", ")}.` : `Did you mean ${near}?`} To see what there is, run with --help.`,
    });
  });
}
