import type { Alarms } from "./alarms.ts";
import { limits } from "../limits.ts";
import type { OutboxRow, Store } from "../ports.ts";

const DAY_MS = 86_400_000;
const SHOWN_MAX = 5;

interface HeldCompany {
  readonly company: string;
  readonly rows: number;
  readonly oldest: OutboxRow;
}

/**
 * A sentence when rows have been held for a week that could still be sent: which companies', how many, since when and why.
 * Each company is told once, and again when its usage was sent and is held anew. Null when there is none to tell of.
 */
export async function heldTooLong(
  store: Pick<Store, "outbox">,
  told: Pick<Alarms, "goOn">,
  now: number,
): Promise<string | null> {
  const before = now - limits.heldAlarmMs;
  const query = { state: "held", final: false, windowTo: before, limit: limits.heldAlarmRowsMax } as const;
  const rows = await store.outbox(query);
  const companies = byCompany(rows.filter(({ createdAt }) => createdAt <= before));
  const names = new Set(
    told.goOn(
      "held",
      companies.map(({ company }) => company),
    ),
  );
  const found = companies.filter(({ company }) => names.has(company));
  if (found.length === 0) return null;
  const atLeast = rows.length < query.limit ? "" : "at least ";
  const shown = found.slice(0, SHOWN_MAX).map((held) => `${held.company} (${atLeast}${sentenceOf(held)})`);
  const more = found.length > SHOWN_MAX ? ` and of ${found.length - SHOWN_MAX} companies more` : "";
  const days = limits.heldAlarmMs / DAY_MS;
  const lastDays = limits.reportAgeMaxMs / DAY_MS;
  return `Usage has been held for more than ${days} days: of ${shown.join("; ")}${more}. ${lastDays} days after its time the biller takes it no more, and it goes by the meter's policy for late usage. Mend the reason, and it is sent by itself.`;
}

/** In the order of their oldest usage. */
function byCompany(rows: readonly OutboxRow[]): readonly HeldCompany[] {
  const found = new Map<string, HeldCompany>();
  for (const row of rows) {
    const known = found.get(row.company);
    found.set(row.company, { company: row.company, rows: (known?.rows ?? 0) + 1, oldest: known?.oldest ?? row });
  }
  return [...found.values()];
}

function sentenceOf({ rows, oldest: { windowStart, reportAs, reason } }: HeldCompany): string {
  const since = new Date(windowStart).toISOString();
  return `${rows} ${rows === 1 ? "row" : "rows"}, the oldest of ${since} for ${reportAs}: ${reason ?? "held"}`;
}
