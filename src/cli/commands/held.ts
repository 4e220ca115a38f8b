import { Command } from "commander";

import { formatDecimal } from "../../core/decimal.ts";
import { recordsMeter } from "../../core/guide.ts";
import { assignCompany } from "../../engine/ingest/assign.ts";
import { listSessions } from "../../engine/intake/sessions.ts";
import { limits } from "../../engine/limits.ts";
import { listSuspended } from "../../engine/periods/suspense.ts";
import type { CustomerMapping, HeldRow, OutboxRow, Store } from "../../engine/ports.ts";
import type { MeterNode } from "../../runtime/node.ts";
import { systemClock } from "../../runtime/system.ts";
import { countOf, limitOption } from "../instants.ts";
import { cutHint, grouped, instant, numbered, stamp, visible, type Output } from "../output.ts";
import { heldReplayCommand } from "./held-replay.ts";
import { withNode, type CommonOptions } from "../session.ts";

interface AssignOptions extends CommonOptions {
  readonly company: string;
}

/** `meterbook held list | assign | replay`: usage that is kept but not counted, and the ways to count it. */
export function heldCommand(): Command {
  const held = new Command("held")
    .addHelpText("after", "\nAll take --json, --config and --db.\nExample: meterbook held list --json")
    .description("Show usage that is held with its reason, and assign events to a company");
  held
    .command("list", { isDefault: true })
    .description(
      "List usage that is kept but not billed: held events, and reports that are held, refused or in conflict",
    )
    .addOption(limitOption("at most this many events, and reports of each state"))
    .addHelpText("after", "\nExample: meterbook held list")
    .action(async (options: CommonOptions & { limit: string }) => {
      process.exitCode = await withNode(options, (node, out) => list(node, countOf(options.limit, "--limit"), out));
    });
  held
    .command("assign")
    .description("Say who an event was for: it is counted at its own time, and the decision is kept with the event")
    .argument("<event-id...>", "ids of held events")
    .requiredOption("--company <id>", "who pays")
    .addHelpText("after", "\nExample: meterbook held assign mfz3k2abcd12ef-4k --company my-chat-company")
    .action(async (ids: string[], options: AssignOptions) => {
      process.exitCode = await withNode(options, (node, out) => assign(node, ids, options.company, out));
    });
  held.addCommand(heldReplayCommand());
  return held;
}

async function list({ store }: MeterNode, limit: number, out: Output): Promise<void> {
  const rows = await toldRows(store, await heldOnce(store, limit));
  const reports: OutboxRow[] = [];
  for (const state of ["held", "dead", "conflict"] as const) reports.push(...(await store.outbox({ state, limit })));
  const mappings = await store.customerMappings([...new Set(reports.map((row) => row.company))]);
  if (out.json) {
    for (const row of rows) out.record({ kind: "event", ...row, time: instant(row.time), value: valueText(row) });
    for (const row of reports) {
      const { rowId, meter, company, state, reason } = row;
      out.record({
        kind: "report",
        row: rowId,
        meter,
        company,
        state,
        from: instant(row.windowStart),
        to: instant(row.windowEnd),
        value: formatDecimal(row.raw),
        reason,
        customers: mappings.find((mapping) => mapping.company === company)?.customers ?? [],
      });
    }
    return;
  }
  const sessions = await sessionsHint(store);
  if (rows.length + reports.length === 0 && sessions === null)
    return out.line("Nothing is held, refused or in conflict.");
  if (rows.length > 0) {
    const cells = rows.map((row) => [
      row.id,
      stamp(row.time),
      row.meter,
      valueText(row) ?? "?",
      row.reason,
      visible(row.detail),
    ]);
    out.table([["event", "time", "meter", "value", "reason", "detail"], ...cells], { right: [3] });
  }
  if (reports.length > 0) {
    const cells = reports.map((row) => [
      String(row.rowId),
      row.meter,
      visible(row.company),
      row.state,
      `${instant(row.windowStart)} – ${instant(row.windowEnd)}`,
      grouped(formatDecimal(row.raw)),
      reasonOf(row, mappings),
    ]);
    out.table([["row", "report", "company", "state", "window", "value", "reason"], ...cells], { right: [0, 5] });
  }
  const cut = cutHint(rows.length, limit);
  if (cut !== null) out.hint(cut);
  for (const way of waysOut(rows, reports)) out.hint(way);
  if (sessions !== null) out.hint(sessions);
}

/** That sessions wait for a decision, and who shows them; null when none does. */
async function sessionsHint(register: Store): Promise<string | null> {
  const query = { state: "held", limit: limits.sessionsPageMax } as const;
  const { sessions, next } = await listSessions({ register, now: () => systemClock.now() }, query);
  if (sessions.length === 0) return null;
  const count = `${numbered(sessions.length, "session")}${next === null ? "" : " and more"}`;
  return `${count} held for a start or an end: GET /v1/sessions?state=held of \`meterbook serve\` shows which, and why.`;
}

/** Held rows, newest first; a suspended record once, though each meter of its guide holds it. */
async function heldOnce(store: Store, limit: number): Promise<readonly HeldRow[]> {
  for (let asked = limit; ; asked *= 2) {
    const rows = await store.held({ order: "newest", limit: asked });
    const once = rows.filter((row) => !isRecord(row) || row.meter === recordsMeter(row.source.slice("guide/".length)));
    if (once.length >= limit || rows.length < asked) return once.slice(0, limit);
  }
}

/** Rows whose suspended records say what is wrong with them now, with the names that it is wrong for. */
async function toldRows(store: Store, rows: readonly HeldRow[]): Promise<readonly HeldRow[]> {
  const limit = rows.filter(isRecord).length;
  if (limit === 0) return rows;
  const { records } = await listSuspended({ store, now: systemClock.now() }, { guide: null, limit });
  return rows.map((row) => {
    const problems = records.find(({ seq }) => isRecord(row) && seq === row.seq)?.problems ?? [];
    return problems.length === 0 ? row : { ...row, detail: problems.join("; ") };
  });
}

const isRecord = ({ source }: HeldRow): boolean => source.startsWith("guide/");
const isOwnerless = ({ reason }: HeldRow): boolean => reason === "no_company";
const isUnmatched = ({ reason }: OutboxRow): boolean => reason === "no_customer";

/** What an operator can do about what is listed, and about nothing else. */
function waysOut(rows: readonly HeldRow[], reports: readonly OutboxRow[]): readonly string[] {
  const ways: readonly (readonly [boolean, string])[] = [
    [
      rows.some(isRecord),
      "Suspended records: meterbook held replay <event> --set data.<field>=<value>, or --guide <guide> for all that are right by now.",
    ],
    [
      rows.some((row) => isOwnerless(row) && !isRecord(row)),
      "Events without a company: meterbook held assign <event> --company <id>.",
    ],
    [
      rows.some((row) => !isOwnerless(row) && !isRecord(row)),
      "Events without a usable value: meterbook correct replace <event> --meter <meter> --value <n>.",
    ],
    [
      reports.some(isUnmatched),
      "Reports with no_customer: give a customer at Stripe that company id; they go out by themselves then.",
    ],
    [
      reports.some((row) => !isUnmatched(row)),
      "Other reports: meterbook outbox show <row> says why; what is late, dead or in conflict: meterbook outbox resolve <row>.",
    ],
  ];
  return ways.filter(([applies]) => applies).map(([, way]) => way);
}

async function assign(
  { store, counting }: MeterNode,
  ids: readonly string[],
  company: string,
  out: Output,
): Promise<void> {
  for (const id of ids) {
    const assigned = await counting((catalog) =>
      assignCompany({ store, catalog, id, company, author: "cli", now: systemClock.now() }),
    );
    if (out.json) out.record({ event: id, company, ...assigned });
    else
      out.line(`${id} → ${visible(company)}${assigned.assigned ? "" : " (was so already; what else holds it, stays)"}`);
  }
}

/** Two customers with one company id: which, so that one of them can be corrected at Stripe. */
function reasonOf(row: OutboxRow, mappings: readonly CustomerMapping[]): string {
  const customers = mappings.find((mapping) => mapping.company === row.company)?.customers ?? [];
  return customers.length > 1 ? `${row.reason ?? ""}: ${customers.join(", ")}` : (row.reason ?? "");
}

function valueText(row: HeldRow): string | null {
  return typeof row.value === "bigint" ? formatDecimal(row.value) : row.value;
}
