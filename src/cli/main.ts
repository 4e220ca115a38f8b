#!/usr/bin/env node
import { readFileSync } from "node:fs";

import { Command, CommanderError, Option } from "commander";
import { paint } from "./paint.ts";

import { isMeterbookError, type ErrorCode, MeterbookError } from "../core/errors.ts";
import { checkCommand } from "./commands/check.ts";
import { compareCommand } from "./commands/compare.ts";
import { correctCommand } from "./commands/correct.ts";
import { demoCommand } from "./commands/demo.ts";
import { devCommand } from "./commands/dev.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { eventsCommand } from "./commands/events.ts";
import { explainCommand } from "./commands/explain.ts";
import { heldCommand } from "./commands/held.ts";
import { initCommand } from "./commands/init.ts";
import { outboxCommand } from "./commands/outbox.ts";
import { previewCommand } from "./commands/preview.ts";
import { rebuildCommand } from "./commands/rebuild.ts";
import { replayCommand } from "./commands/replay.ts";
import { reconcileCommand } from "./commands/reconcile.ts";
import { reportCommand } from "./commands/report.ts";
import { statusCommand } from "./commands/status.ts";
import { stripeLocalCommand } from "./commands/stripe-local.ts";
import { usageCommand } from "./commands/usage.ts";
import { verifyCommand } from "./commands/verify.ts";

/** 0 ok, 1 failed, 3 configuration invalid, 130 interrupted. */
const EXIT = { failed: 1, configInvalid: 3, interrupted: 130 } as const;

const CONFIG_CODES: readonly ErrorCode[] = [
  "METER_CONFIG_INVALID",
  "METER_CONFIG_NOT_FOUND",
  "METER_CONFIG_UNREADABLE",
  "METER_LIVE_KEY_IN_TEST_MODE",
];

const HELP_HINT = "(run with --help for usage)";

const COMMANDS = [
  initCommand,
  demoCommand,
  stripeLocalCommand,
  devCommand,
  checkCommand,
  previewCommand,
  explainCommand,
  usageCommand,
  eventsCommand,
  heldCommand,
  statusCommand,
  reportCommand,
  reconcileCommand,
  outboxCommand,
  correctCommand,
  replayCommand,
  compareCommand,
  verifyCommand,
  rebuildCommand,
  doctorCommand,
];

/** It has neither a configuration nor a database, so it takes the option of neither. */
const WITHOUT_FILES = "stripe-local";

/** Adds the options that all commands share, to a group of commands through each of its members. */
function withCommonOptions(command: Command): Command {
  if (command.commands.length > 0) {
    for (const child of command.commands) withCommonOptions(child);
    return command;
  }
  if (command.name() !== WITHOUT_FILES) {
    command
      .addOption(new Option("-c, --config <file>", "configuration file (default: meterbook.yaml and its kin here)"))
      .addOption(new Option("--db <file>", "database file, instead of storage.path"));
  }
  return command.addOption(new Option("--json", "machine-readable output: one JSON value a line"));
}

function program(): Command {
  const { version }: { version: string } = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  );
  const root = new Command("meterbook")
    .description(
      "Metering and billing for APIs: one line of middleware, one file of meters, one database, Stripe at the end.",
    )
    .version(version)
    .showSuggestionAfterError(true)
    .showHelpAfterError(HELP_HINT)
    .exitOverride();
  if (isJsonWanted()) root.configureOutput({ writeErr: () => undefined });
  for (const make of COMMANDS) {
    const command = withCommonOptions(make());
    root.addCommand(command);
    for (const each of [command, ...command.commands]) {
      each.exitOverride().showSuggestionAfterError(true).showHelpAfterError(HELP_HINT);
      // Under --json the error is one JSON object, written by failure().
      if (isJsonWanted()) each.configureOutput({ writeErr: () => undefined });
    }
  }
  return root.addHelpText("after", "\nFirst steps: meterbook demo · meterbook init · meterbook dev -- node server.js");
}

async function run(): Promise<void> {
  process.once("SIGINT", () => process.exit(EXIT.interrupted));
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // `meterbook events | head` closes the pipe: that is the reader's wish, not a failure.
    if (error.code === "EPIPE") process.exit(0);
  });
  try {
    await program().parseAsync(process.argv);
  } catch (error) {
    process.exitCode = failure(error);
  }
}

function failure(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    if (isJsonWanted()) tell(new MeterbookError("METER_COMMAND_INVALID", error.message.replace(/^error: /, "")));
    return EXIT.failed;
  }
  if (isMeterbookError(error)) {
    tell(error);
    return CONFIG_CODES.includes(error.code) ? EXIT.configInvalid : EXIT.failed;
  }
  process.stderr.write(
    `${paint.red("error")} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  return EXIT.failed;
}

function tell(error: MeterbookError): void {
  if (isJsonWanted()) {
    process.stderr.write(
      `${JSON.stringify({ code: error.code, message: error.message, remedy: error.remedy, help: error.help })}\n`,
    );
    return;
  }
  process.stderr.write(`${error.message}\n`);
  if (error.remedy !== null) process.stderr.write(`${paint.dim(error.remedy)}\n`);
  process.stderr.write(`${paint.dim(`${error.code} · ${error.help}`)}\n`);
}

function isJsonWanted(): boolean {
  return process.argv.includes("--json");
}

void run();
