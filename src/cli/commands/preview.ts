import { Command } from "commander";

import { MeterbookError } from "../../core/errors.ts";
import { nearName } from "../../core/near-name.ts";
import { previewMeter } from "../../engine/usage/preview.ts";
import { systemClock } from "../../runtime/system.ts";
import { rangeOf } from "../instants.ts";
import { grouped, numbered, visible } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";

interface PreviewOptions extends CommonOptions {
  readonly since?: string;
  readonly to?: string;
}

/** `meterbook preview <meter>`: the definition in the file against the events already stored. */
export function previewCommand(): Command {
  return new Command("preview")
    .description("Try a meter of the file against the stored events; changes nothing")
    .argument("<meter>", "the meter's name in the file")
    .option("--since <instant>", "only events from here on, e.g. 24h or 2026-11-01")
    .option("--to <instant>", "only events before this")
    .addHelpText("after", "\nExample: meterbook preview chat_tokens --since 24h")
    .action(async (name: string, options: PreviewOptions) => {
      process.exitCode = await withNode(options, async ({ store, settings }, out) => {
        const definition = settings.meters.find((meter) => meter.key === name);
        const near = nearName(
          name,
          settings.meters.map((meter) => meter.key),
        );
        if (definition === undefined) {
          throw new MeterbookError("METER_UNKNOWN_METER", `There is no meter "${name}" in the file.`, {
            remedy: `${near === null ? "" : `Did you mean "${near}"? `}It has: ${settings.meters.map((meter) => meter.key).join(", ") || "none"}.`,
          });
        }
        const now = systemClock.now();
        const preview = await previewMeter(store, {
          definition,
          fields: settings.fields,
          unknownIdentity: settings.identity.unknown,
          range: rangeOf({ from: options.since, to: options.to }, now, "--since"),
          onProgress: (events) => out.progress(`${events} events`),
        });
        out.progress(null);
        if (out.json) return out.record(preview);
        const reasons = preview.skipped.map(({ reason, events }) => `${events} ${visible(reason)}`);
        out.line(
          `matched ${preview.matched} of ${numbered(preview.events, "event")}${reasons.length > 0 ? `   not matched: ${reasons.join(" · ")}` : ""}`,
        );
        out.line(
          `total ${preview.total === null ? "–" : grouped(preview.total)}${definition.unit === null ? "" : ` ${definition.unit}s`}   ${preview.companies.length} ${preview.companies.length === 1 ? "company" : "companies"}   ${preview.held} held`,
        );
        out.table(
          preview.companies.map(({ company, value, events }) => [
            visible(company),
            value === null ? "–" : grouped(value),
            numbered(events, "event"),
          ]),
          { right: [1] },
        );
        for (const hint of preview.hints) out.line(`hint  ${hint}`);
      });
    });
}
