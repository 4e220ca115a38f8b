import type { Command } from "commander";

import { MeterbookError } from "../core/errors.ts";

/** Options of every command by which an operator changes what is billed. */
export interface OperatorOptions {
  readonly by?: string;
  readonly cause?: string;
  readonly dryRun?: boolean;
}

/** Who decides it and why, as they are kept. */
export interface Operator {
  /** `operator:<name>`. */
  readonly author: string;
  readonly cause: string;
  readonly dryRun: boolean;
}

const NAME_LENGTH_MAX = 100;
const CAUSE_LENGTH_MAX = 1_000;

/** Adds the options that `operatorOf` reads. */
export function withOperator(command: Command): Command {
  return command
    .option("--by <name>", "who decides it; kept with the change")
    .option("--cause <text>", "why; kept with the change")
    .option("--dry-run", "show what would change, and change nothing");
}

/** METER_COMMAND_INVALID unless name and cause are given; a dry run needs neither. */
export function operatorOf({ by, cause, dryRun }: OperatorOptions): Operator {
  const isDry = dryRun === true;
  return {
    author: `operator:${textOf(by, "--by", NAME_LENGTH_MAX, isDry)}`,
    cause: textOf(cause, "--cause", CAUSE_LENGTH_MAX, isDry),
    dryRun: isDry,
  };
}

function textOf(given: string | undefined, option: string, lengthMax: number, isDry: boolean): string {
  const text = given?.trim() ?? "";
  if (text === "" && isDry) return "(dry run)";
  if (text !== "" && text.length <= lengthMax && !/[\p{Cc}\p{Cs}]/u.test(text)) return text;
  const wrong = text === "" ? "is missing" : `is longer than ${lengthMax} characters, or has control characters`;
  throw new MeterbookError("METER_COMMAND_INVALID", `${option} ${wrong}.`, {
    remedy: "A correction is kept for ever with --by <your name> and --cause <why>; --dry-run shows it without.",
  });
}
