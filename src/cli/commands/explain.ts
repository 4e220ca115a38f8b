import { Command } from "commander";

import { explainEvent } from "../../engine/usage/explain.ts";
import { eventRecord } from "../event-record.ts";
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
        const { voided } = explained;
        if (out.json)
          return out.record({
            event: eventRecord(explained.event),
            verdicts,
            ...(voided === null ? {} : { voided: { ...voided, at: instant(voided.at) } }),
          });
        const { event } = explained;
        out.line(`${event.id}  ${stamp(event.time)}  ${visible(event.type)}  ${visible(event.company ?? "(nobody)")}`);
        if (event.request !== undefined)
          out.line(
            `${event.request.method ?? ""} ${visible(event.request.route ?? event.request.path ?? "")} ${event.response?.status ?? ""}${event.aborted === true ? " aborted" : ""}`,
          );
        if (event.corrects !== undefined) out.line(`counts instead of ${visible(event.corrects.id)}`);
        if (voided !== null) {
          const instead = voided.replacedBy === undefined ? "" : `; ${visible(voided.replacedBy.id)} counts instead`;
          out.line(`voided ${stamp(voided.at)} by ${visible(voided.author)}: ${visible(voided.cause)}${instead}`);
        }
        for (const verdict of verdicts) {
          out.line(
            `${verdict.counted ? "✓" : "✗"} ${verdict.meter}  ${visible(verdict.counted ? `counted ${verdict.value ?? ""}` : (verdict.reason ?? ""))}`,
          );
          if (verdict.window !== null) out.line(`    window ${verdict.window.from} – ${verdict.window.to}`);
          if (verdict.record === null) continue;
          for (const part of verdict.record.all ?? [{ kind: "usage", ...verdict.record }]) {
            const what = part.kind === "usage" ? "report" : part.kind;
            out.line(
              `    ${what} ${part.state}  ${part.identifier ?? "(not sent yet)"}  ${part.customer ?? ""}  ${part.value}  ${part.reason ?? ""}`.trimEnd(),
            );
          }
        }
        if (verdicts.length === 0) out.line("No meter was in force at that time.");
      });
    });
}
