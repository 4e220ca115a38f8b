import { completeEvent, isVoiding, voidingOf } from "../../core/amended-event.ts";
import { withSnapshot } from "../../engine/books/snapshot.ts";
import type { Store, StoredEvent } from "../../engine/ports.ts";
import type { ExportColumn, ExportRow } from "./export-file.ts";

const PAGE = 1_000;

/** What stands in each row of exported events; `event` is the whole of it, as stored. */
export const EVENT_COLUMNS: readonly ExportColumn[] = [
  { name: "seq", kind: "whole" },
  { name: "source", kind: "text" },
  { name: "id", kind: "text" },
  { name: "type", kind: "text" },
  { name: "time", kind: "instant" },
  { name: "recorded_at", kind: "instant" },
  { name: "company", kind: "text" },
  { name: "user", kind: "text" },
  { name: "subject", kind: "text" },
  { name: "voided", kind: "text" },
  { name: "event", kind: "json" },
];

/** Events in the order in which they arrived, all as of one instant, a page at a time. */
export async function exportEvents(
  store: Store,
  query: { readonly from?: number; readonly to?: number; readonly company?: string; readonly type?: string },
  write: (rows: readonly ExportRow[]) => Promise<void>,
): Promise<void> {
  await withSnapshot(store, async (view) => {
    let afterSeq = 0;
    for (;;) {
      const events = await view.events({ ...query, order: "oldest", afterSeq, limit: PAGE });
      await write(events.map(rowOf));
      if (events.length < PAGE) return;
      afterSeq = events.at(-1)?.seq ?? afterSeq;
    }
  });
}

/** An event as it is known now: a company that became known later stands in its row. */
function rowOf({ seq, event: stored, amendments }: StoredEvent): ExportRow {
  let event = stored;
  for (const fact of amendments) if (!isVoiding(fact)) event = completeEvent(event, fact);
  const { source, id, type, time, recordedAt, company, user, subject } = event;
  const voided = voidingOf(amendments)?.cause ?? null;
  return [
    seq,
    source,
    id,
    type,
    time,
    recordedAt ?? null,
    company,
    user,
    subject ?? null,
    voided,
    JSON.stringify(event),
  ];
}
