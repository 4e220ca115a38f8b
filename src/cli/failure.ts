import { CommanderError } from "commander";

import { isMeterbookError, MeterbookError, sentenceOf, type ErrorCode } from "../core/errors.ts";
import { EXIT } from "./exit-codes.ts";
import { paint } from "./paint.ts";

const CONFIG_CODES: readonly ErrorCode[] = [
  "METER_CONFIG_INVALID",
  "METER_CONFIG_NOT_FOUND",
  "METER_CONFIG_UNREADABLE",
  "METER_LIVE_KEY_IN_TEST_MODE",
];

/** True when the words ask for JSON; those after `--` are another program's. */
export function isJsonWanted(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end === -1 ? args : args.slice(0, end)).includes("--json");
}

/** Says on stderr why a command failed, with code and remedy, under --json as one JSON object; answers its exit code. */
export function failure(error: unknown, args: readonly string[]): number {
  const isJson = isJsonWanted(args);
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.ok;
    // A bare `meterbook` has got its answer: the help.
    if (args.length > 0) tell(mistakeOf(error), isJson);
    return EXIT.failed;
  }
  if (isMeterbookError(error)) {
    tell(error, isJson);
    return CONFIG_CODES.includes(error.code) ? EXIT.configInvalid : EXIT.failed;
  }
  tell(unexpected(error), isJson, error instanceof Error ? error.stack : undefined);
  return EXIT.failed;
}

/** A mistake in the words themselves: `error: unknown option '--metr'\n(Did you mean --meter?)`. */
function mistakeOf({ code, message }: CommanderError): MeterbookError {
  const [said = "", meant = ""] = message.replace(/^error: /, "").split("\n");
  const sentence = code === "commander.help" ? "no command was named, or none of this name exists" : said;
  const near = meant === "" ? "" : `${meant.replace(/^\((.*)\)$/, "$1")} `;
  return new MeterbookError("METER_COMMAND_INVALID", sentence, {
    remedy: `${near}To see what there is, run with --help.`,
  });
}

function unexpected(cause: unknown): MeterbookError {
  return new MeterbookError("METER_COMMAND_FAILED", `Something unexpected failed: ${sentenceOf(cause)}`, {
    cause,
    remedy:
      "Run it again with DEBUG=1 and report it with what it prints. `meterbook doctor` looks for causes around it.",
  });
}

/** The stack is for a person, and for a program only where somebody debugs it. */
function tell(error: MeterbookError, isJson: boolean, stack?: string): void {
  const { code, message, remedy, help } = error;
  if (isJson) {
    const debugged = (process.env["DEBUG"] ?? "") !== "" && stack !== undefined;
    process.stderr.write(`${JSON.stringify({ code, message, remedy, help, ...(debugged ? { stack } : {}) })}\n`);
    return;
  }
  process.stderr.write(`${message}\n`);
  if (stack !== undefined) process.stderr.write(`${paint.dim(stack)}\n`);
  if (remedy !== null) process.stderr.write(`${paint.dim(remedy)}\n`);
  process.stderr.write(`${paint.dim(`${code} · ${help}`)}\n`);
}
