import { writeFileSync } from "node:fs";
import { join } from "node:path";

import SqliteDatabase from "better-sqlite3";

import { formatDecimal, fromInteger, isFault, parseDecimal } from "../../../src/core/decimal.ts";
import type { StoredEvent, UsageReporter } from "../../../src/engine/ports.ts";
import { reportOnce } from "../../../src/engine/delivery/report.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { loadConfig } from "../../../src/runtime/load-config.ts";
import { openNode, type MeterNode } from "../../../src/runtime/node.ts";
import { POWER_YAML } from "./recording.ts";
import type { Said } from "./replay.ts";

/** What the recorded program said on its output, one fact a line. */
type Fact =
  | { readonly kind: "attempted"; readonly id: string; readonly company: string; readonly tokens: string }
  | { readonly kind: "acknowledged"; readonly ids: readonly string[] }
  | { readonly kind: "sent"; readonly identifier: string; readonly company: string; readonly value: string }
  | { readonly kind: "problem"; readonly text: string }
  | { readonly kind: "end"; readonly now: number };

/** What the world outside knew when the power went. */
export interface Known {
  readonly attempted: ReadonlyMap<string, { readonly company: string; readonly tokens: string }>;
  /** Ids of events, and `company of <id>` where it was promised that a later line names the payer. */
  readonly acknowledged: ReadonlySet<string>;
  /** What Stripe had counted, by identifier; scaled values. */
  readonly billed: ReadonlyMap<string, { readonly company: string; readonly value: bigint }>;
  readonly problems: readonly string[];
}

/** All zero or empty after any power cut. */
export interface Damage {
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  readonly invented: readonly string[];
  /** Sentences about sums, bills and the file itself. */
  readonly wrong: readonly string[];
  /** Events that came back with one of their two lines: what is stored is complete, and the store shows a conflict. */
  readonly conflicts: number;
}

/** Adds what was said since to what is known. */
export function learn(said: readonly Said[]): Known {
  const attempted = new Map<string, { readonly company: string; readonly tokens: string }>();
  const acknowledged = new Set<string>();
  const billed = new Map<string, { readonly company: string; readonly value: bigint }>();
  const problems: string[] = [];
  for (const { text } of said) {
    const fact = JSON.parse(text) as Fact;
    switch (fact.kind) {
      case "attempted":
        attempted.set(fact.id, fact);
        break;
      case "acknowledged":
        for (const id of fact.ids) acknowledged.add(id);
        break;
      case "sent":
        if (!billed.has(fact.identifier)) billed.set(fact.identifier, { ...fact, value: BigInt(fact.value) });
        break;
      case "problem":
        problems.push(fact.text);
        break;
      case "end":
        break;
    }
  }
  return { attempted, acknowledged, billed, problems };
}

/** Starts the chain on an image as after a reboot, lets it finish its work, and compares with what is known. */
export async function afterReboot(directory: string, known: Known, bootedAt: number): Promise<Damage> {
  writeFileSync(join(directory, "meterbook.yaml"), POWER_YAML);
  let now = bootedAt;
  const clock = { now: (): number => now };
  const env = { STRIPE_API_KEY: "sk_test_power" };
  const { settings } = loadConfig({ config: "meterbook.yaml", directory, env });
  const node = await openNode({ settings, clock, ownWriter: null, adoptFrom: now, onNotice: () => undefined });
  const bill = new Map(known.billed);
  try {
    // A writer whose record is torn is taken for dead only after its silence, and what it left open is waited for.
    for (let at = 0; at < DRAINS; at++, now += MINUTE_MS) await node.drainAll();
    const wrong = fileFaults(settings.storage.path);
    const events = await storedEvents(node);
    const stripe = settings.billing.stripe;
    if (stripe === null) throw new Error("the configuration reports nothing");
    for (let round = 0, due = true; due && round < ROUNDS_MAX; round++) {
      const { store, catalog } = node;
      const wait = async (ms: number): Promise<void> => void (now += ms);
      await reportOnce({
        store,
        catalog,
        clock,
        wait,
        reporter: stripeOf(bill),
        settings: stripe,
        holder: "after",
        random: () => 0,
      });
      now += MINUTE_MS;
      const { outbox } = await store.counts();
      due = outbox.pending + outbox.sending > 0;
    }
    const sums = await verify(node.store, node.catalog);
    const { conflicts, outbox } = await node.store.counts();
    if (outbox.pending + outbox.sending + outbox.dead + outbox.conflict + outbox.held > 0)
      wrong.push(`the outbox did not come to its end: ${JSON.stringify(outbox)}`);
    return {
      ...compare(known, events),
      wrong: [...wrong, ...sums.differences, ...billFaults(events, bill)],
      conflicts,
    };
  } finally {
    await node.close();
  }
}

const MINUTE_MS = 60_000;
/** Minutes of draining: more than a silent writer and its open events are waited for together. */
const DRAINS = 5;
/** More rounds than a row could need: each is due again after a minute at most. */
const ROUNDS_MAX = 12;

function fileFaults(path: string): string[] {
  const db = new SqliteDatabase(path, { readonly: true });
  try {
    const found = db.pragma("integrity_check", { simple: true });
    return found === "ok" ? [] : [`integrity_check: ${String(found)}`];
  } finally {
    db.close();
  }
}

async function storedEvents({ store }: MeterNode): Promise<readonly StoredEvent[]> {
  const events: StoredEvent[] = [];
  for (;;) {
    const page = await store.events({ order: "oldest", afterSeq: events.at(-1)?.seq ?? 0, limit: 1_000 });
    if (page.length === 0) return events;
    events.push(...page);
  }
}

function compare(known: Known, events: readonly StoredEvent[]): Omit<Damage, "wrong" | "conflicts"> {
  const times = new Map<string, number>();
  const invented: string[] = [];
  for (const stored of events) {
    const { event } = stored;
    const company = payerOf(stored);
    times.set(event.id, (times.get(event.id) ?? 0) + 1);
    if (company !== null) times.set(`company of ${event.id}`, 1);
    const said = known.attempted.get(event.id);
    const isSaid = said !== undefined && said.tokens === event.values?.["tokens"];
    if (!isSaid || (company !== null && company !== said.company)) invented.push(event.id);
  }
  return {
    lost: [...known.acknowledged].filter((id) => !times.has(id)),
    doubled: [...times].filter(([, count]) => count > 1).map(([id]) => id),
    invented,
  };
}

/** Who pays: named by the event, or by a later line; null = nobody is known. */
function payerOf({ event, amendments }: StoredEvent): string | null {
  const named = amendments.flatMap((fact) => (fact.closes === "void" ? [] : (fact.company ?? [])));
  return named[0] ?? event.company;
}

/** Stripe as it is remembered: what it counted before the cut stays counted, and an identifier counts once. */
function stripeOf(bill: Map<string, { readonly company: string; readonly value: bigint }>): UsageReporter {
  return {
    account: async () => "acct_power/test",
    async *customers() {
      for (const company of ["acme", "globex", "initech"])
        yield { company, customer: `cus_${company}`, deleted: false };
    },
    findCustomer: async () => ({ kind: "missing" }),
    meter: async () => ({ kind: "ready", keepsLast: null }),
    cancel: async () => ({ kind: "dead", reason: "nothing is cancelled here", requestId: null }),
    counted: async () => [],
    clockFault: async () => null,
    periods: async () => [],
    report: async ({ identifier, company, value }) => {
      if (!bill.has(identifier)) bill.set(identifier, { company, value });
      return { kind: "accepted", requestId: null };
    },
  };
}

/** The floor rule: every company was billed the whole units of what is stored. */
function billFaults(
  events: readonly StoredEvent[],
  bill: ReadonlyMap<string, { readonly company: string; readonly value: bigint }>,
): readonly string[] {
  const one = fromInteger(1);
  const used = new Map<string, bigint>();
  for (const stored of events) {
    const tokens = parseDecimal(stored.event.values?.["tokens"] ?? "");
    const company = payerOf(stored);
    if (!isFault(tokens) && company !== null) used.set(company, (used.get(company) ?? 0n) + tokens);
  }
  const billed = new Map<string, bigint>();
  for (const { company, value } of bill.values()) billed.set(company, (billed.get(company) ?? 0n) + value);
  return [...new Set([...used.keys(), ...billed.keys()])].flatMap((company) => {
    const due = ((used.get(company) ?? 0n) / one) * one;
    const paid = billed.get(company) ?? 0n;
    return due === paid
      ? []
      : [`${company} used ${formatDecimal(due)} whole units and was billed ${formatDecimal(paid)}`];
  });
}
