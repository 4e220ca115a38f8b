import { paint } from "./paint.ts";

import { formatDecimal } from "../core/decimal.ts";
import { explainSentence } from "../core/explain.ts";
import type { OutboxRow, StoredEvent } from "../engine/ports.ts";
import type { MeterNode } from "../runtime/node.ts";
import { systemClock } from "../runtime/system.ts";
import { clockTime, visible, type Output } from "./output.ts";

/** Follows a database: prints a line for each new event and each report that Stripe took. */
export interface LiveLog {
  /** Prints what is new since the last call. */
  poll(): Promise<void>;
}

const EVENTS_PER_POLL = 200;
/** Reports are looked for among windows this young. */
const RECENT_MS = 2 * 86_400_000;
const REPORTS_MAX = 10_000;

/** How far a log has come: kept over a restart, so that no line is missed while the app is quicker than the log. */
export interface LogPlace {
  /** Events of before are not shown, milliseconds UTC. */
  readonly from: number;
  seq: number | null;
}

/** Starts where `place` says; it is the app that takes its journal in, by the meters that it puts into force. */
export async function liveLog(node: MeterNode, out: Output, place: LogPlace): Promise<LiveLog> {
  place.seq ??= (await node.store.events({ order: "newest", to: place.from, limit: 1 }))[0]?.seq ?? 0;
  const shown = new Set((await accepted(node)).map((row) => row.rowId));
  return {
    poll: async () => {
      const events = await node.store.events({ order: "oldest", afterSeq: place.seq ?? 0, limit: EVENTS_PER_POLL });
      // The meters that counted these events were stored before them.
      if (events.length > 0) await node.reload();
      for (const stored of events) {
        place.seq = stored.seq;
        if (out.json)
          out.record({
            event: stored.event,
            verdicts: node.catalog
              .explain(stored.event)
              .map((verdict) => ({ meter: verdict.meter, kind: verdict.kind, text: explainSentence(verdict) })),
          });
        else out.line(eventLine(node, stored));
      }
      for (const row of await accepted(node)) {
        if (shown.has(row.rowId)) continue;
        shown.add(row.rowId);
        if (row.identifier === null) continue;
        if (out.json)
          out.record({
            report: {
              meter: row.meter,
              customer: row.customer,
              value: formatDecimal(row.value),
              identifier: row.identifier,
            },
          });
        else out.line(reportLine(row));
      }
    },
  };
}

async function accepted(node: MeterNode): Promise<readonly OutboxRow[]> {
  return node.store.outbox({ state: "accepted", windowFrom: systemClock.now() - RECENT_MS, limit: REPORTS_MAX });
}

/** `22:41:03  POST /chat 200   acme-inc   chat_tokens +120`. */
function eventLine(node: MeterNode, { event }: StoredEvent): string {
  const what =
    event.request === undefined
      ? event.type
      : `${event.request.method ?? ""} ${event.request.route ?? event.request.path ?? ""} ${event.response?.status ?? ""}`;
  const verdicts = node.catalog.explain(event);
  const said = verdicts.filter((verdict) => verdict.kind !== "skipped");
  const shown = said.length > 0 ? said : verdicts.slice(0, 1);
  const text = shown.map((verdict) => {
    if (verdict.kind === "counted")
      return paint.green(
        `${verdict.meter} +${typeof verdict.value === "bigint" ? formatDecimal(verdict.value) : visible(verdict.value)}`,
      );
    const sentence = visible(explainSentence(verdict));
    return verdict.kind === "held" ? paint.yellow(sentence) : paint.dim(`${verdict.meter} ${sentence}`);
  });
  return `${paint.dim(clockTime(event.time))}  ${visible(what).padEnd(24)} ${visible(event.company ?? "(nobody)").padEnd(10)} ${text.join(" · ")}${event.aborted === true ? paint.dim(" · client left early") : ""}`;
}

/** `22:42:00  → stripe  chat_tokens  cus_demo1  +120  [200]`. */
function reportLine(row: OutboxRow): string {
  return `${paint.dim(clockTime(row.acceptedAt ?? row.createdAt))}  ${paint.cyan("→ stripe")}  ${row.reportAs}  ${row.customer ?? ""}  +${formatDecimal(row.value)}  [200]`;
}
