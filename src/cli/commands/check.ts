import { Command } from "commander";

import { formatProblem, formatProblems, type Problem } from "../../config/problem.ts";
import type { CustomerMeterSettings, Settings } from "../../config/settings.ts";
import { MeterbookError } from "../../core/errors.ts";
import { ConfigError, findConfig, loadConfig } from "../../runtime/load-config.ts";
import { EXIT } from "../exit-codes.ts";
import { numbered, output, type Output } from "../output.ts";
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
        ...(settings.metering === undefined ? {} : { provisions: provisionsOf(settings.metering) }),
        problems: warnings,
      });
      return 0;
    }
    for (const warning of warnings) out.line(formatProblem(warning));
    out.line(`✓ ${contentsText(settings)}`);
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    tell(error.problems, out);
    return EXIT.configInvalid;
  }
}

/** What the file has, such as `1 meter: runs; 1 meter type, 2 guides, 3 customers' meters`. */
function contentsText({ meters, metering }: Settings): string {
  const keys = meters.map(({ key }) => key).join(", ");
  const counted = `${numbered(meters.length, "meter")}${keys === "" ? "" : `: ${keys}`}`;
  if (metering === undefined) return counted;
  const { meterTypes, guides, customerMeters } = provisionsOf(metering);
  const ofCustomers = customerMeters === 1 ? "1 customer's meter" : `${customerMeters} customers' meters`;
  return `${counted}; to provision: ${numbered(meterTypes.length, "meter type")}, ${numbered(guides.length, "guide")}, ${ofCustomers}`;
}

function provisionsOf({ meterTypes, guides, buckets }: CustomerMeterSettings) {
  return {
    meterTypes: meterTypes.map(({ name }) => name),
    guides: guides.map(({ key }) => key),
    customerMeters: buckets.length,
  };
}

function tell(problems: readonly Problem[], out: Output): void {
  if (out.json) return out.record({ ok: false, problems });
  out.line(formatProblems(problems));
  out.line(`${problems.length} ${problems.length === 1 ? "problem" : "problems"}. Nothing was changed.`);
}
