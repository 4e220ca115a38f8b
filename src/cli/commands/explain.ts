import { Command } from "commander";

import { explainEvent } from "../../engine/explain.ts";
import { instant, stamp, visible } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";

/** `meterbook explain ID`: one event against all meters. */
export function explainCommand(): Command {
  return new Command("explain")
    .description("Say for one event what each meter counted, or why not, and where it was reported")
    .argument("<event-id>", "the event's id, as `meterbook events` shows it")
    .addHelpText("after", "\nExample: meterbook explain mfz3k2abcd12ef-4k")
    .action(async (id: string, options: CommonOptions) => {
      process.exitCode = await withNode(options, async ({ store, catalog }, out) => {
        const explained = await explainEvent(store, catalog, id);
        const verdicts = explained.verdicts.map((verdict) => ({
          ...verdict,
          window:
            verdict.window === null ? null : { from: instant(verdict.window.from), to: instant(verdict.window.to) },
        }));
        if (out.json) return out.record({ event: explained.event, verdicts });
        const { event } = explained;
        out.line(`${event.id}  ${stamp(event.time)}  ${visible(event.type)}  ${visible(event.company ?? "(nobody)")}`);
        if (event.request !== undefined)
          out.line(
            `${event.request.method ?? ""} ${visible(event.request.route ?? event.request.path ?? "")} ${event.response?.status ?? ""}${event.aborted === true ? " aborted" : ""}`,
          );
        for (const verdict of verdicts) {
          out.line(
            `${verdict.counted ? "✓" : "✗"} ${verdict.meter}  ${visible(verdict.counted ? `counted ${verdict.value ?? ""}` : (verdict.reason ?? ""))}`,
          );
          if (verdict.window !== null) out.line(`    window ${verdict.window.from} – ${verdict.window.to}`);
          if (verdict.record !== null)
            out.line(
              `    report ${verdict.record.state}  ${verdict.record.identifier ?? "(not sent yet)"}  ${verdict.record.customer ?? ""}  ${verdict.record.reason ?? ""}`.trimEnd(),
            );
        }
        if (verdicts.length === 0) out.line("No meter was in force at that time.");
      });
    });
}
