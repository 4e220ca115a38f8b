import { formatDecimal, fromInteger, type Decimal } from "../core/decimal.ts";
import { MeterbookError } from "../core/errors.ts";
import type { UsageRecord } from "../core/usage-record.ts";
import { windowSpan } from "../core/window.ts";
import type {
  BilledPeriod,
  Clock,
  CountedQuery,
  CountedSpan,
  CustomerAnswer,
  MeterAnswer,
  ReportAnswer,
  UsageReporter,
} from "../engine/ports.ts";

/** One call of report() or cancel(). */
export interface RecordedCall {
  readonly record: UsageRecord;
  readonly idempotencyKey: string;
}

/** What the next report() or cancel() does: whether it counts at the biller, and what is answered; `throw` throws. */
export interface NextReport {
  readonly counts: boolean;
  readonly answer: ReportAnswer | "throw";
}

/** A biller in memory for tests: keeps records by identifier, as Stripe does, and answers what it is told. */
export interface RecordingReporter extends UsageReporter {
  /** Every call of report(), oldest first. */
  readonly calls: readonly RecordedCall[];
  /** Every call of cancel(), oldest first: with the record that is to be cancelled. */
  readonly cancels: readonly RecordedCall[];
  /** Every reading of the books, oldest first. */
  readonly readings: readonly CountedQuery[];
  /** What was counted and not cancelled, oldest first: each identifier once, as long as it is remembered. */
  readonly records: readonly UsageRecord[];
  /** Exact total of a customer on one of the biller's meters, as decimal text. */
  total(reportAs: string, customer: string): string;
  /** Gives a company a customer, or one more. */
  addCustomer(company: string, customer: string): void;
  deleteCustomer(customer: string): void;
  setMeter(reportAs: string, answer: MeterAnswer): void;
  /** What periods() and customerPeriods() answer from now on; before, the latter tells nothing. */
  setPeriods(periods: readonly BilledPeriod[]): void;
  /** Orders the outcome of the next call of report() or cancel(); several queue. */
  answerNext(next: NextReport, times?: number): void;
  /** All calls but report() and cancel() fail with this until it is null again. */
  fail(code: "METER_STRIPE_REFUSED" | "METER_STRIPE_UNREACHABLE" | null): void;
  /** Forgets identifiers, as the biller does after a day: a resend then counts again. What was counted stays. */
  forget(): void;
  /** Counts a record that is somebody else's. */
  foreign(record: UsageRecord): void;
  /** How often customers() and findCustomer() were called. */
  readonly questions: { readonly lists: number; readonly finds: number };
}

export interface RecordingReporterOptions {
  readonly account?: string;
  /** Customers that customers() lists: company → customer. */
  readonly customers?: Readonly<Record<string, string>>;
  /** New customers are found one by one but not listed, as with a list that was read before. */
  readonly unlisted?: Readonly<Record<string, string>>;
  /** With both, records come into the books `lagMs` after they were counted; else at once. */
  readonly clock?: Clock;
  readonly lagMs?: number;
}

/** An answer that leaves the outcome unknown. */
export const UNKNOWN: Extract<ReportAnswer, { readonly kind: "unknown" }> = {
  kind: "unknown",
  reason: "no answer",
  requestId: null,
  freshKey: false,
  retryAfterMs: null,
  rateLimited: false,
};

export function recordingReporter(options: RecordingReporterOptions = {}): RecordingReporter {
  const customers = Object.entries(options.customers ?? {}).map(([company, customer]) => ({ company, customer }));
  const unlisted = Object.entries(options.unlisted ?? {}).map(([company, customer]) => ({ company, customer }));
  const meters = new Map<string, MeterAnswer>();
  const questions = { lists: 0, finds: 0 };
  let periods: readonly BilledPeriod[] | null = null;
  let failure: "METER_STRIPE_REFUSED" | "METER_STRIPE_UNREACHABLE" | null = null;
  const check = (): void => {
    if (failure !== null) throw new MeterbookError(failure, "as the test ordered");
  };
  return {
    ...recordingBooks(options, (reportAs) => meters.get(reportAs) ?? READY, check),
    questions,
    addCustomer: (company, customer) => void customers.push({ company, customer }),
    deleteCustomer: (customer) => {
      for (const list of [customers, unlisted]) {
        const at = list.findIndex((known) => known.customer === customer);
        if (at >= 0) list.splice(at, 1);
      }
    },
    setMeter: (reportAs, answer) => void meters.set(reportAs, answer),
    setPeriods: (told) => void (periods = told),
    fail: (code) => {
      failure = code;
    },
    account: async () => {
      check();
      return options.account ?? "acct_recording/test";
    },
    async *customers() {
      questions.lists += 1;
      check();
      for (const known of customers) yield { ...known, deleted: false };
    },
    findCustomer: async (company): Promise<CustomerAnswer> => {
      questions.finds += 1;
      check();
      const found = [...customers, ...unlisted]
        .filter((known) => known.company === company)
        .map(({ customer }) => customer);
      const [only] = found;
      if (only === undefined) return { kind: "missing" };
      return found.length === 1 ? { kind: "mapped", customer: only } : { kind: "ambiguous", customers: found };
    },
    meter: async (reportAs) => {
      check();
      return meters.get(reportAs) ?? READY;
    },
    clockFault: async () => null,
    periods: async () => {
      check();
      return periods ?? [];
    },
    customerPeriods: async (customer) => {
      check();
      return periods === null
        ? null
        : { present: periods.filter((period) => period.customer === customer), earlier: [] };
    },
  };
}

const READY: MeterAnswer = { kind: "ready", keepsLast: null };

type RecordingBooks = Pick<
  RecordingReporter,
  | "calls"
  | "cancels"
  | "readings"
  | "records"
  | "total"
  | "answerNext"
  | "forget"
  | "foreign"
  | "report"
  | "cancel"
  | "counted"
>;

/** What was sent, what of it counts, and what the books show. */
function recordingBooks(
  { clock, lagMs }: RecordingReporterOptions,
  meterOf: (reportAs: string) => MeterAnswer,
  check: () => void,
): RecordingBooks {
  const calls: RecordedCall[] = [];
  const cancels: RecordedCall[] = [];
  const readings: CountedQuery[] = [];
  const records: UsageRecord[] = [];
  const countedAt = new WeakMap<UsageRecord, number>();
  const remembered = new Set<string>();
  const queue: NextReport[] = [];
  const count = (record: UsageRecord): void => {
    const own = { ...record };
    countedAt.set(own, clock?.now() ?? 0);
    records.push(own);
  };
  const isVisible = (record: UsageRecord): boolean =>
    clock === undefined || lagMs === undefined || (countedAt.get(record) ?? 0) + lagMs <= clock.now();
  const answered = (take: () => void): ReportAnswer => {
    const requestId = `req_${calls.length + cancels.length}`;
    const next = queue.shift() ?? { counts: true, answer: { kind: "accepted", requestId } };
    if (next.counts) take();
    if (next.answer === "throw") throw new Error("as the test ordered");
    return next.answer;
  };
  return {
    calls,
    cancels,
    readings,
    records,
    total: (reportAs, customer) => {
      const own = records.filter((record) => record.reportAs === reportAs && record.customer === customer);
      return formatDecimal(sumOf(kept(own, meterOf(reportAs))));
    },
    answerNext: (next, times = 1) => {
      for (let time = 0; time < times; time++) queue.push(next);
    },
    forget: () => remembered.clear(),
    foreign: count,
    report: async (record, idempotencyKey) => {
      calls.push({ record, idempotencyKey });
      return answered(() => {
        if (remembered.has(record.identifier)) return;
        remembered.add(record.identifier);
        count(record);
      });
    },
    cancel: async (record, idempotencyKey) => {
      cancels.push({ record, idempotencyKey });
      return answered(() => {
        const at = records.findIndex(({ identifier }) => identifier === record.identifier);
        if (at >= 0) records.splice(at, 1);
      });
    },
    counted: async (query) => {
      readings.push(query);
      check();
      return booksOf(records.filter(isVisible), query, meterOf(query.reportAs));
    },
  };
}

/** What the biller counts of records: all, or of each of its own windows the last one it received. */
function kept(records: readonly UsageRecord[], meter: MeterAnswer): readonly UsageRecord[] {
  if (meter.kind !== "ready" || meter.keepsLast === null) return records;
  const { keepsLast } = meter;
  return [...new Map(records.map((record) => [windowSpan(record.timestamp, keepsLast).from, record])).values()];
}

function booksOf(
  records: readonly UsageRecord[],
  { customer, reportAs, from, to, per }: CountedQuery,
  meter: MeterAnswer,
): CountedSpan[] {
  const own = records.filter((record) => record.customer === customer && record.reportAs === reportAs);
  const spans = new Map<number, { from: number; to: number; records: UsageRecord[] }>();
  for (const record of kept(own, meter)) {
    const { timestamp } = record;
    if (timestamp < from || timestamp >= to) continue;
    const span = per === null ? { from, to } : windowSpan(timestamp, per);
    const known = spans.get(span.from) ?? { ...span, records: [] };
    known.records.push(record);
    spans.set(span.from, known);
  }
  return [...spans.values()]
    .toSorted((a, b) => a.from - b.from)
    .map((span) => ({ from: span.from, to: span.to, value: sumOf(span.records), isExact: true }));
}

function sumOf(records: readonly UsageRecord[]): Decimal {
  return records.reduce<Decimal>((total, { value }) => total + value, fromInteger(0));
}
