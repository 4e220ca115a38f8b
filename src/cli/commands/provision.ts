import { randomUUID } from "node:crypto";

import { Command } from "commander";

import type { CustomerMeterSettings } from "../../config/settings.ts";
import { MeterbookError } from "../../core/errors.ts";
import { provision, type ProvisionStep } from "../../engine/periods/provision.ts";
import { systemClock } from "../../runtime/system.ts";
import { instantMs } from "../instants.ts";
import { numbered, visible, type Output } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";

interface ProvisionOptions extends CommonOptions {
  readonly dryRun?: boolean;
  readonly since?: string;
}

/** `meterbook provision`: makes the meter types, guides and customers' meters of the configuration that are missing. */
export function provisionCommand(): Command {
  return new Command("provision")
    .description("Make the meter types, guides and customers' meters of the configuration; again, it changes nothing")
    .argument("[file]", "configuration file, instead of --config")
    .option("--since <time>", "begin of the first period of meters that are made; now when absent")
    .option("--dry-run", "show the plan, and change nothing")
    .addHelpText("after", "\nExample: meterbook provision --dry-run\nExample: meterbook provision meters.yaml")
    .action(async (file: string | undefined, options: ProvisionOptions) => {
      const named = file === undefined ? options : { ...options, config: file };
      process.exitCode = await withNode(
        named,
        async ({ store, settings }, out) => {
          const dryRun = options.dryRun === true;
          const desk = { store, now: systemClock.now(), newId: randomUUID, author: "file" };
          const since =
            options.since === undefined ? undefined : instantMs(options.since, "--since", systemClock.now());
          const metering = meteringOf(settings.metering);
          const buckets = metering.buckets.map((bucket) => ({ ...bucket, since }));
          show(await provision(desk, { ...metering, buckets }, { dryRun }), dryRun, out);
        },
        { startsApp: true },
      );
    });
}

function meteringOf(metering: CustomerMeterSettings | undefined): CustomerMeterSettings {
  if (metering !== undefined) return metering;
  throw new MeterbookError("METER_COMMAND_INVALID", "The configuration has nothing to provision.", {
    remedy: "Write meterTypes, guides and customerMeters; examples/botbot shows them.",
  });
}

const WORDS = { create: "+", update: "~", keep: "=" } as const;

function show(steps: readonly ProvisionStep[], dryRun: boolean, out: Output): void {
  if (out.json) {
    for (const step of steps) out.record({ ...step, applied: !dryRun && step.change !== "keep" });
    return;
  }
  for (const { what, name, change } of steps) {
    if (change !== "keep") out.line(`${WORDS[change]} ${what} ${visible(name)}`);
  }
  const numberOf = (change: ProvisionStep["change"]): number => steps.filter((step) => step.change === change).length;
  const [created, updated, kept] = [numberOf("create"), numberOf("update"), numberOf("keep")];
  const verb = dryRun ? "would be made" : "made";
  out.line(
    `${created} ${verb}, ${updated} ${dryRun ? "would be changed" : "changed"}, ${numbered(kept, "thing")} as wanted.`,
  );
  if (dryRun && created + updated > 0) out.line("Nothing was changed; without --dry-run it is.");
}
