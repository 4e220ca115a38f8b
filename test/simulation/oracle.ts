import { formatDecimal, parseDecimal, type Decimal } from "../../src/core/decimal.ts";
import type { UsageEvent } from "../../src/core/event.ts";
import { limits } from "../../src/engine/limits.ts";
import type { OutboxRow } from "../../src/engine/ports.ts";
import { verify } from "../../src/engine/books/verify.ts";
import { runDue } from "../../src/testing/local-stripe/agenda.ts";
import { ledgerEntries } from "../../src/testing/local-stripe/ledger.ts";
import { COMPANIES } from "./app.ts";
import { METER } from "./meter.ts";
import type { RunEnd } from "./simulated-run.ts";

/** Everything that the promise forbids and that this run did, one sentence each; empty = the promise held. */
export async function brokenPromises(end: RunEnd): Promise<readonly string[]> {
  const stored = await storedEvents(end);
  const rows = await end.store.outbox({ limit: limits.heldRowsMax });
  return [
    ...lostOrInvented(end, stored),
    ...(await sumsThatDiffer(end)),
    ...wronglyBilled(end, stored, rows),
    ...unfinished(end, rows),
    ...sentAgainstTheRules(end),
  ];
}

async function storedEvents({ store }: RunEnd): Promise<readonly UsageEvent[]> {
  const found = await store.events({ order: "oldest", limit: limits.heldRowsMax });
  return found.map(({ event }) => event);
}

function lostOrInvented({ book }: RunEnd, stored: readonly UsageEvent[]): string[] {
  const times = new Map<string, number>();
  for (const { id } of stored) times.set(id, (times.get(id) ?? 0) + 1);
  const lost = [...book.acknowledged].filter((id) => !times.has(id));
  const invented = [...times.keys()].filter((id) => !book.attempted.has(id));
  const doubled = [...times].filter(([, count]) => count > 1).map(([id]) => id);
  return [
    ...lost.map((id) => `acknowledged event ${id} is not stored`),
    ...invented.map((id) => `event ${id} was never sent`),
    ...doubled.map((id) => `event ${id} is stored twice`),
  ];
}

async function sumsThatDiffer({ store, catalog }: RunEnd): Promise<readonly string[]> {
  return (await verify(store, catalog)).differences;
}

/** Plain sums that share nothing with the engine: all that is stored, per company, rounded down once. */
function wronglyBilled({ stripe, plan }: RunEnd, stored: readonly UsageEvent[], rows: readonly OutboxRow[]): string[] {
  runDue(stripe);
  const broken: string[] = [];
  const ledger = ledgerEntries(stripe);
  for (const company of COMPANIES) {
    const used = stored.filter((event) => event.company === company).map(tokensOf);
    const owed = floor(used.reduce((sum, tokens) => sum + tokens, 0n));
    const customer = [...stripe.customers.values()].find(({ fields }) => fields.metadata["company_id"] === company);
    const counted = ledger
      .filter((entry) => entry.customer === customer?.id && entry.eventName === METER.reportAs)
      .reduce((sum, entry) => sum + decimal(entry.value), 0n);
    // What a person must decide is in a visible list, and is the only thing that may be missing.
    const undecided = rows
      .filter((row) => row.company === company && row.state === "conflict")
      .reduce((sum, row) => sum + row.value, 0n);
    if (counted > owed || counted < owed - undecided)
      broken.push(`${company}: used ${formatDecimal(owed)}, Stripe counted ${formatDecimal(counted)}`);
  }
  const conflicts = rows.filter(({ state }) => state === "conflict");
  if (conflicts.length > 0 && !(plan.forgets || plan.outage !== null))
    broken.push(`${conflicts.length} rows are in conflict, though nothing was forgotten`);
  return broken;
}

/** When all goes well for days, nothing may wait any more. */
function unfinished(_end: RunEnd, rows: readonly OutboxRow[]): string[] {
  return rows
    .filter(({ state }) => state === "pending" || state === "sending" || state === "held" || state === "dead")
    .map(
      ({ company, state, reason, windowStart }) =>
        `${company} ${new Date(windowStart).toISOString()} is still ${state} (${reason ?? "no reason"})`,
    );
}

/** One call at a time in a lane; one body for each identifier; no identifier that is not a row's. */
function sentAgainstTheRules({ wire }: RunEnd): string[] {
  const bodies = new Map<string, string>();
  const broken = wire.crowded.map((lane) => `two reports of ${lane} were on their way at once`);
  for (const { form } of wire.reports) {
    const identifier = new URLSearchParams(form).get("identifier") ?? "";
    const known = bodies.get(identifier);
    if (known !== undefined && known !== form) broken.push(`identifier ${identifier} was sent with two bodies`);
    bodies.set(identifier, form);
  }
  return broken;
}

function tokensOf(event: UsageEvent): Decimal {
  const header = event.response?.headers?.["x-tokens-used"];
  return decimal(typeof header === "string" ? header : "not a header");
}

function decimal(text: string): Decimal {
  const value = parseDecimal(text);
  if (typeof value !== "bigint") throw new Error(`${text}: ${value}`);
  return value;
}

const ONE = 10n ** 12n;

/** Towards minus infinity; all sums here are positive, so cutting off is the same. */
function floor(value: Decimal): Decimal {
  return value - (value % ONE);
}
