import { periodName, periodsAt, periodsOf, type PeriodsOf } from "./billing-periods.ts";
import type { BilledPeriod, BillerLane, CustomerPeriods, Store, UsageReporter } from "../ports.ts";

/**
 * Whether the biller puts usage of an event time on an invoice. `unasked`: only the biller could say, and this round may ask
 * no more; the next one does.
 */
type CoverageAnswer = "billed" | "none" | "unasked";

/** What is known of the billing periods in one round, and asked for where that says nothing. */
export interface Coverage {
  /** The known periods of a lane, with what was asked for in this round. */
  readonly periods: PeriodsOf;
  /** Before `none` is said, the customer's own subscriptions are asked for, once a round: one may be minutes old. */
  readonly answer: (lane: BillerLane, timestamp: number) => Promise<CoverageAnswer>;
}

/** The coverage of a whole round: its parts may each ask so many questions, and know what the others were told. */
export interface RoundCoverage {
  /** Takes the present periods of all customers into account. */
  readonly learn: (present: readonly BilledPeriod[]) => void;
  readonly asking: (questionsMax: number) => Coverage & { readonly questions: () => number };
}

export interface CoverageOptions {
  readonly store: Pick<Store, "periods">;
  readonly reporter: Pick<UsageReporter, "customerPeriods">;
  /** `send`: nobody is asked, and all usage counts as billed. */
  readonly noSubscription: "hold" | "send";
  /** The biller does not tell of subscriptions at all, so usage is sent without knowing. */
  readonly onUntold?: () => void;
}

/** Opens what a round of reporting knows of the biller's subscriptions. */
export function openCoverage({ store, reporter, noSubscription, onUntold }: CoverageOptions): RoundCoverage {
  let known = periodsOf(store);
  let isTold = true;
  const asked = new Map<string, Promise<void>>();
  const fresh = new Map<string, CustomerPeriods>();

  const periods: PeriodsOf = async (lane) => {
    const own = fresh.get(lane.customer);
    return own === undefined ? known(lane) : merged(await known(lane), own, lane);
  };

  async function ask(customer: string): Promise<void> {
    const told = reporter.customerPeriods === undefined ? null : await reporter.customerPeriods(customer);
    if (told !== null) return void fresh.set(customer, told);
    isTold = false;
    if (reporter.customerPeriods === undefined) onUntold?.();
  }

  async function isKnownBilled(lane: BillerLane, timestamp: number): Promise<boolean> {
    if (periodsAt(await periods(lane), timestamp).length > 0) return true;
    // A period that is told to renew and is over: the biller has not begun the next one yet.
    const present = fresh.get(lane.customer)?.present ?? [];
    return present.some(({ reportAs, renews, to }) => reportAs === lane.reportAs && renews && to <= timestamp);
  }

  return {
    learn: (present) => void (known = periodsOf(store, present)),
    asking: (questionsMax) => {
      let questions = 0;
      return {
        periods,
        questions: () => questions,
        answer: async (lane, timestamp) => {
          if (noSubscription === "send" || !isTold || (await isKnownBilled(lane, timestamp))) return "billed";
          if (!asked.has(lane.customer)) {
            if (questions >= questionsMax) return "unasked";
            questions += 1;
            asked.set(lane.customer, ask(lane.customer));
          }
          await asked.get(lane.customer);
          return !isTold || (await isKnownBilled(lane, timestamp)) ? "billed" : "none";
        },
      };
    },
  };
}

/** What was told now goes before what is stored of the same periods; the earlier ones only fill what is not stored. */
function merged(
  known: readonly BilledPeriod[],
  { present, earlier }: CustomerPeriods,
  { reportAs }: BillerLane,
): readonly BilledPeriod[] {
  const own = present.filter((period) => period.reportAs === reportAs);
  const told = new Set(own.map(periodName));
  const kept = known.filter((period) => !told.has(periodName(period)));
  const stored = new Set(kept.map(periodName));
  const before = earlier.filter((period) => period.reportAs === reportAs && !stored.has(periodName(period)));
  return [...before, ...kept, ...own];
}

/** Why usage is held that the biller would take and put on no invoice. */
export type NoSubscription = `no_subscription: ${string}`;

/** The reason of rows that nothing bills. */
export function noSubscriptionReason({ customer, reportAs }: BillerLane): NoSubscription {
  return `no_subscription: ${customer} has no subscription with a price of meter ${reportAs} at this time`;
}

/** Whether a held row waits for a subscription. */
export function waitsForSubscription({ reason }: { readonly reason: string | null }): boolean {
  return reason?.startsWith("no_subscription:") === true;
}
