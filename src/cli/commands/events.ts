import { Command } from "commander";

import { explainSentence } from "../../core/explain.ts";
import { settle } from "../../engine/ingest/amended-event.ts";
import { systemClock } from "../../runtime/system.ts";
import { countOf, limitOption, rangeOf } from "../instants.ts";
import { cutHint, stamp, visible } from "../output.ts";
import { eventRecord } from "../event-record.ts";
import { withNode, type CommonOptions } from "../session.ts";

interface EventsOptions extends CommonOptions {
  readonly company?: string;
  readonly type?: string;
  readonly from?: string;
  readonly to?: string;
  readonly limit: string;
}

/** `meterbook events`: the newest events with each meter's verdict. */
export function eventsCommand(): Command {
  return new Command("events")
    .description("List recorded events, newest first, with what each meter says")
    .option("--company <id>", "only of this company")
    .option("--type <type>", "only of this type, e.g. http.request or a tracked action")
    .option("--from <instant>", "from this instant on")
    .option("--to <instant>", "up to this instant, exclusive")
    .addOption(limitOption("at most this many"))
    .addHelpText("after", "\nExample: meterbook events --from 1h --company globex")
    .action(async (options: EventsOptions) => {
      process.exitCode = await withNode(options, async ({ store, catalog }, out) => {
        const now = systemClock.now();
        const limit = countOf(options.limit, "--limit");
        const events = await store.events({
          order: "newest",
          limit,
          ...(options.company === undefined ? {} : { company: options.company }),
          ...(options.type === undefined ? {} : { type: options.type }),
          ...rangeOf(options, now),
        });
        if (out.json) {
          for (const { seq, event, amendments } of events) out.record({ seq, ...eventRecord(event), amendments });
          return;
        }
        if (events.length === 0) return out.line(emptyText(options));
        out.table([
          ["event", "time", "what", "company", "verdicts"],
          ...events.map((stored) => {
            const { event, verdicts } = settle(catalog, stored, (known) => catalog.explain(known));
            const counted = verdicts.filter((verdict) => verdict.kind !== "skipped");
            const said = (counted.length > 0 ? counted : verdicts.slice(0, 1)).map(
              (verdict) => `${verdict.meter}: ${explainSentence(verdict)}`,
            );
            const what =
              event.request === undefined
                ? event.type
                : `${event.request.method ?? ""} ${event.request.route ?? event.request.path ?? ""} ${event.response?.status ?? ""}`;
            return [event.id, stamp(event.time), visible(what), event.company ?? "(nobody)", said.join(" · ")];
          }),
        ]);
        const cut = cutHint(events.length, limit);
        if (cut !== null) out.hint(cut);
      });
    });
}

function emptyText({ company, type, from, to }: EventsOptions): string {
  const isNarrowed = [company, type, from, to].some((each) => each !== undefined);
  return isNarrowed ? "No event is like that." : "No events: nothing was recorded so far.";
}
