import { limits } from "../../../src/engine/limits.ts";
import { alarms } from "../../../src/engine/delivery/alarms.ts";
import { pace } from "../../../src/engine/delivery/pace.ts";
import type { Clock, OutboxRow, Store, UsageReporter } from "../../../src/engine/ports.ts";
import { reconcile } from "../../../src/engine/reconciliation/reconcile.ts";
import { reportOnce, type ReportSettings, type ReportSummary } from "../../../src/engine/delivery/report.ts";
import { withReporterLease } from "../../../src/engine/delivery/reporter-lease.ts";
import type { Catalog } from "../../../src/core/catalog.ts";
import { openSqliteStore } from "../../../src/sqlite/sqlite-store.ts";
import { stripeReporter } from "../../../src/stripe/stripe-reporter.ts";
import type { ManualClock } from "../../../src/testing/manual-clock.ts";
import { MINUTE } from "../../engine/world.ts";
import type { CrashPoint } from "./factors.ts";
import { promised } from "./promised.ts";
import type { Wire } from "./wire.ts";

/** Where the reporter of the struck row's first call dies; it happens once. */
interface Crash {
  readonly point: CrashPoint;
  hasHappened: boolean;
}

/** One run of one reporting process, until it dies. */
export interface Life {
  readonly name: string;
  readonly notices: readonly string[];
  readonly store: Store;
  isDead(): boolean;
  /** Whether it is here, now, that a reporter has to die. */
  diesAt(point: CrashPoint): boolean;
  /** Nothing it waits for ever comes, and nothing it does has an effect any more. */
  die(): Promise<never>;
  /** What a call answers, as long as this life hears it. */
  alive<Result>(answer: Promise<Result>): Promise<Result>;
  /** A round of reporting as the runtime makes it; "died" when it did not come to its end, null when another one reports. */
  round(): Promise<ReportSummary | null | "died">;
  close(): Promise<void>;
}

export interface LifeOptions {
  readonly name: string;
  readonly path: string;
  readonly catalog: Catalog;
  readonly settings: ReportSettings;
  /** The true time, which waiting moves. */
  readonly time: ManualClock;
  /** What this process takes for the time. */
  readonly clock: Clock;
  readonly random: () => number;
  readonly wire: Wire;
  readonly crash: Crash;
  readonly isStruck: (row: Pick<OutboxRow, "company" | "meter" | "windowStart" | "sequence">) => boolean;
  /** Lanes with a report on its way, of all lives; two at once are a fault of ours. */
  readonly traffic: Traffic;
}

export interface Traffic {
  readonly lanes: Map<string, Life>;
  readonly crowded: string[];
}

/** Starts a process: its own handle of the database file, its own client, what it remembers from round to round. */
export async function startLife(options: LifeOptions): Promise<Life> {
  const { name, path, crash, clock } = options;
  const opened = await openSqliteStore({ path, bucketMs: MINUTE });
  const notices: string[] = [];
  const death = promised<"died">();
  let isDead = false;
  const life: Life = {
    name,
    notices,
    store: opened,
    isDead: () => isDead,
    diesAt: (point) => crash.point === point && !crash.hasHappened && !isDead,
    die: () => {
      isDead = true;
      crash.hasHappened = true;
      for (const [lane, owner] of options.traffic.lanes) if (owner === life) options.traffic.lanes.delete(lane);
      death.resolve("died");
      return NEVER;
    },
    alive: async (answer) => {
      if (isDead) return NEVER;
      const result = await answer.then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      );
      if (isDead) return NEVER;
      if ("error" in result) throw result.error;
      return result.value;
    },
    round: () => (isDead ? death.promise : Promise.race([turn(), death.promise])),
    close: () => opened.close(),
  };
  const store = mortalStore(opened, life, options);
  const genuine = stripeReporter({
    apiKey: "sk_test_matrix",
    mode: "test",
    apiBase: options.wire.stripe.url,
    companyIdAt: { kind: "metadata", key: "company_id" },
    clock,
    transport: options.wire.transport(life),
    onNotice: ({ code }) => notices.push(code),
  });
  const reporter: UsageReporter = { ...genuine, report: reporting(genuine, life, options) };
  const kept = { pace: pace(), alarms: alarms() };
  const wait = async (ms: number): Promise<void> => void options.time.advance(Math.max(0, ms));
  const onNotice = ({ code }: { readonly code: string }): void => void notices.push(code);
  const { catalog, settings, random } = options;
  const turn = async (): Promise<ReportSummary | null> => {
    const common = { store, reporter, clock, holder: name, wait, onNotice };
    const summary = await reportOnce({ ...common, ...kept, catalog, settings, random });
    if (summary !== null && summary.stopped === null) {
      const { graceMs } = settings.report;
      await withReporterLease(common, (keepLease) =>
        reconcile({ ...common, graceMs, lanes: "due", readOnly: false, keepLease, pace: kept.pace }),
      );
    }
    return summary;
  };
  return life;
}

/** For what a dead process waits for. */
const NEVER = new Promise<never>(() => undefined);

/** The store as a mortal process has it: from its death on no method answers; marking the struck row may be its end. */
function mortalStore(store: Store, life: Life, { isStruck }: LifeOptions): Store {
  const struckRows = new Set<number>();
  return new Proxy(store, {
    get(target, name, receiver): unknown {
      const method: unknown = Reflect.get(target, name, receiver);
      if (typeof method !== "function") return method;
      return async (...args: unknown[]): Promise<unknown> => {
        if (life.isDead()) return NEVER;
        const answer: unknown = await Reflect.apply(method, target, args);
        if (name === "claim") for (const { row } of claimsOf(answer)) if (isStruck(row)) struckRows.add(row.rowId);
        if (name === "settle" && struckRows.has(Number(args[0])) && life.diesAt("during the mark")) return life.die();
        return life.isDead() ? NEVER : answer;
      };
    },
  });
}

function claimsOf(answer: unknown): readonly { readonly row: OutboxRow }[] {
  return Array.isArray(answer) ? answer : [];
}

function reporting(genuine: UsageReporter, life: Life, { isStruck, traffic }: LifeOptions): UsageReporter["report"] {
  return async (record, key) => {
    const struck = isStruck(record);
    const lane = `${record.customer} ${record.reportAs}`;
    if (life.isDead() || (struck && life.diesAt("before it sends"))) return life.die();
    if (traffic.lanes.has(lane))
      traffic.crowded.push(`${lane}: ${life.name} beside ${traffic.lanes.get(lane)?.name ?? ""}`);
    traffic.lanes.set(lane, life);
    try {
      const answer = await life.alive(genuine.report(record, key));
      if (struck && life.diesAt("after the answer")) return await life.die();
      return answer;
    } finally {
      if (traffic.lanes.get(lane) === life) traffic.lanes.delete(lane);
    }
  };
}

/** How long a life's leases last at most: after it another one goes on. */
export const SUCCESSION_MS = Math.max(limits.leaseMs, limits.reporterLeaseMs) + 1_000;
