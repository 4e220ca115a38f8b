import { formatDecimal, fromInteger, type Decimal } from "../core/decimal.ts";
import { MeterbookError } from "../core/errors.ts";
import type { UsageRecord } from "../core/usage-record.ts";
import type { CustomerAnswer, MeterAnswer, ReportAnswer, UsageReporter } from "../engine/ports.ts";

/** One call of report(). */
export interface RecordedCall {
  readonly record: UsageRecord;
  readonly idempotencyKey: string;
}

/** What the next report() does: whether the record counts at the biller, and what is answered; `throw` throws. */
export interface NextReport {
  readonly counts: boolean;
  readonly answer: ReportAnswer | "throw";
}

/** A biller in memory for tests: keeps records by identifier, as Stripe does, and answers what it is told. */
export interface RecordingReporter extends UsageReporter {
  /** Every call of report(), oldest first. */
  readonly calls: readonly RecordedCall[];
  /** What was counted, each identifier once, oldest first. */
  readonly counted: readonly UsageRecord[];
  /** Exact total of a customer on one of the biller's meters, as decimal text. */
  total(reportAs: string, customer: string): string;
  /** Gives a company a customer, or one more. */
  addCustomer(company: string, customer: string): void;
  deleteCustomer(customer: string): void;
  setMeter(reportAs: string, answer: MeterAnswer): void;
  /** Orders the outcome of the next call of report(); several queue. */
  answerNext(next: NextReport, times?: number): void;
  /** All calls but report() fail with this until it is null again. */
  fail(code: "METER_STRIPE_REFUSED" | "METER_STRIPE_UNREACHABLE" | null): void;
  /** How often customers() and findCustomer() were called. */
  readonly questions: { readonly lists: number; readonly finds: number };
}

export interface RecordingReporterOptions {
  readonly account?: string;
  /** Customers that customers() lists: company → customer. */
  readonly customers?: Readonly<Record<string, string>>;
  /** New customers are found one by one but not listed, as with a list that was read before. */
  readonly unlisted?: Readonly<Record<string, string>>;
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
  const calls: RecordedCall[] = [];
  const counted = new Map<string, UsageRecord>();
  const queue: NextReport[] = [];
  const questions = { lists: 0, finds: 0 };
  let failure: "METER_STRIPE_REFUSED" | "METER_STRIPE_UNREACHABLE" | null = null;
  const check = (): void => {
    if (failure !== null) throw new MeterbookError(failure, "as the test ordered");
  };
  return {
    calls,
    questions,
    get counted() {
      return [...counted.values()];
    },
    total: (reportAs, customer) => totalOf([...counted.values()], reportAs, customer),
    addCustomer: (company, customer) => void customers.push({ company, customer }),
    deleteCustomer: (customer) => {
      for (const list of [customers, unlisted]) {
        const at = list.findIndex((known) => known.customer === customer);
        if (at >= 0) list.splice(at, 1);
      }
    },
    setMeter: (reportAs, answer) => void meters.set(reportAs, answer),
    answerNext: (next, times = 1) => {
      for (let time = 0; time < times; time++) queue.push(next);
    },
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
      return meters.get(reportAs) ?? { kind: "ready" };
    },
    report: async (record, idempotencyKey) => {
      calls.push({ record, idempotencyKey });
      const next = queue.shift() ?? { counts: true, answer: { kind: "accepted", requestId: `req_${calls.length}` } };
      if (next.counts && !counted.has(record.identifier)) counted.set(record.identifier, record);
      if (next.answer === "throw") throw new Error("as the test ordered");
      return next.answer;
    },
  };
}

function totalOf(records: readonly UsageRecord[], reportAs: string, customer: string): string {
  const own = records.filter((record) => record.reportAs === reportAs && record.customer === customer);
  return formatDecimal(own.reduce<Decimal>((total, { value }) => total + value, fromInteger(0)));
}
