import { Command } from "commander";

import { formatProblem, formatProblems, type Problem } from "../../config/problem.ts";
import { MeterbookError } from "../../core/errors.ts";
import { ConfigError, findConfig, loadConfig } from "../../runtime/load-config.ts";
import { EXIT } from "../exit-codes.ts";
import { output, type Output } from "../output.ts";
import type { CommonOptions } from "../session.ts";

/** `meterbook check`: every mistake of the configuration at once, with its place. Opens no database. */
export function checkCommand(): Command {
  return new Command("check")
    .description("Check the configuration; every problem at once, with line and column")
    .addHelpText(
      "after",
      "\nExits 3 when there are problems. Nothing is changed.\nExample: meterbook check --config meterbook.yaml",
    )
    .action((options: CommonOptions) => {
      const out = output({ json: options.json === true });
      process.exitCode = checkFile(options, out);
    });
}

function checkFile(options: CommonOptions, out: Output): number {
  try {
    const source = { config: options.config, directory: process.cwd(), env: process.env };
    const { settings, warnings, found } = loadConfig(source);
    if (!found) {
      throw new MeterbookError("METER_CONFIG_NOT_FOUND", `There is no meterbook.yaml in ${process.cwd()}.`, {
        remedy: "Run `meterbook init`, or name the file with --config.",
      });
    }
    if (out.json) {
      out.record({
        ok: true,
        file: findConfig(source),
        meters: settings.meters.map((meter) => meter.key),
        problems: warnings,
      });
      return 0;
    }
    for (const warning of warnings) out.line(formatProblem(warning));
    out.line(
      `✓ ${settings.meters.length} ${settings.meters.length === 1 ? "meter" : "meters"}: ${settings.meters.map((meter) => meter.key).join(", ")}`,
    );
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    tell(error.problems, out);
    return EXIT.configInvalid;
  }
}

function tell(problems: readonly Problem[], out: Output): void {
  if (out.json) return out.record({ ok: false, problems });
  out.line(formatProblems(problems));
  out.line(`${problems.length} ${problems.length === 1 ? "problem" : "problems"}. Nothing was changed.`);
}
