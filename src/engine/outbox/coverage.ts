import { periodsAt, periodsOf, type PeriodsOf } from "./billing-periods.ts";
import { NO_SUBSCRIPTION } from "../../core/no-subscription.ts";
import { openQuestions } from "./customer-questions.ts";
import type { BilledPeriod, BillerLane, Store, UsageReporter } from "../ports.ts";
import { nameOfPeriods, withTold } from "./told-periods.ts";

export { waitsForSubscription } from "../../core/no-subscription.ts";

/**
 * Whether the biller puts usage of an event time on an invoice. `unasked`: only the biller could say, and it did not answer
 * or this round may ask no more; the next one does.
 */
type CoverageAnswer = "billed" | "none" | "unasked";

/** What is known of the billing periods in one round, and asked for where that says nothing. */
export interface Coverage {
  /** The known periods of a lane, with what was asked for in this round. */
  readonly periods: PeriodsOf;
  /** Before `none` is said, the customer's own subscriptions are asked for, once a round: one may be minutes old. */
  readonly answer: (lane: BillerLane, timestamp: number) => Promise<CoverageAnswer>;
}

/** The coverage of one part of a round. */
export interface PartCoverage extends Coverage {
  /** How many customers it asked for. */
  readonly questions: () => number;
  /** It asks for nobody else: its questions are used up, or the biller does not answer. */
  readonly isSpent: () => boolean;
  /** Asks for a lane's customer as `answer` does. False = nothing came back by which any usage of it would be billed. */
  readonly asksAnew: (lane: BillerLane) => Promise<boolean>;
  /** A name of all that is known of a lane without asking: another one = it changed. Empty = no period is known. */
  readonly knownAs: (lane: BillerLane) => Promise<string>;
}

/** The coverage of a whole round: its parts may each ask so many questions, and know what the others were told. */
export interface RoundCoverage {
  /** Takes the present periods of all customers into account. */
  readonly learn: (present: readonly BilledPeriod[]) => void;
  readonly asking: (questionsMax: number) => PartCoverage;
  /** Customers whose question had no answer. */
  readonly silent: () => readonly string[];
}

export interface CoverageOptions {
  readonly store: Pick<Store, "periods">;
  readonly reporter: Pick<UsageReporter, "customerPeriods">;
  /** `send`: nobody is asked, and all usage counts as billed. */
  readonly noSubscription: "hold" | "send";
  /** Whether a customer's question had no answer in the round before. */
  readonly wasSilent?: (customer: string) => boolean;
  /** The biller does not tell of subscriptions at all, so usage is sent without knowing. */
  readonly onUntold?: () => void;
}

/** Opens what a round of reporting knows of the biller's subscriptions. */
export function openCoverage(options: CoverageOptions): RoundCoverage {
  const { store, reporter, noSubscription, wasSilent = () => false, onUntold } = options;
  let known = periodsOf(store);
  const questions = openQuestions(reporter, wasSilent, onUntold);

  const periods: PeriodsOf = async (lane) => {
    const own = questions.told(lane.customer);
    return own === null ? known(lane) : withTold(await known(lane), own, lane);
  };

  async function isKnownBilled(lane: BillerLane, timestamp: number): Promise<boolean> {
    if (periodsAt(await periods(lane), timestamp).length > 0) return true;
    // A period that is told to renew and is over: the biller has not begun the next one yet.
    const present = questions.told(lane.customer)?.present ?? [];
    return present.some(({ reportAs, renews, to }) => reportAs === lane.reportAs && renews && to <= timestamp);
  }

  const isAllBilled = (): boolean => noSubscription === "send" || !questions.isTold();

  function asking(questionsMax: number): PartCoverage {
    let asked = 0;
    const isSpent = (): boolean => asked >= questionsMax || questions.isSilent();
    /** False = nothing is known of what the customer has now. */
    const hasAsked = async (customer: string): Promise<boolean> => {
      if (!questions.isAsked(customer)) {
        if (isSpent()) return false;
        asked += 1;
        const isAnswered = await questions.ask(customer);
        if (questions.rememberedAt(customer) !== null) asked -= 1;
        return isAnswered;
      }
      return questions.ask(customer);
    };
    return {
      periods,
      questions: () => asked,
      isSpent,
      answer: async (lane, timestamp) => {
        if (isAllBilled() || (await isKnownBilled(lane, timestamp))) return "billed";
        if (!(await hasAsked(lane.customer))) return "unasked";
        if (isAllBilled() || (await isKnownBilled(lane, timestamp))) return "billed";
        // What is remembered says nothing of what came after it.
        const asOf = questions.rememberedAt(lane.customer);
        return asOf !== null && timestamp >= asOf ? "unasked" : "none";
      },
      asksAnew: async ({ customer, reportAs }) => {
        if (isAllBilled()) return true;
        await hasAsked(customer);
        const own = questions.told(customer);
        const isOfLane = (period: BilledPeriod): boolean => period.reportAs === reportAs;
        return isAllBilled() || own?.present.some(isOfLane) === true || own?.earlier.some(isOfLane) === true;
      },
      knownAs: async (lane) => nameOfPeriods(await known(lane)),
    };
  }

  return { learn: (present) => void (known = periodsOf(store, present)), asking, silent: questions.silent };
}

/** Why usage is held that the biller would take and put on no invoice. */
export type NoSubscription = `${typeof NO_SUBSCRIPTION} ${string}`;

/** The reason of rows that nothing bills. */
export function noSubscriptionReason({ customer, reportAs }: BillerLane): NoSubscription {
  return `${NO_SUBSCRIPTION} ${customer} has no subscription with a price of meter ${reportAs} at this time`;
}
