import { isMeterbookError } from "../../core/errors.ts";
import { ownMember } from "../../core/own-member.ts";
import { limits } from "../limits.ts";
import type { CustomerPeriods, UsageReporter } from "../ports.ts";

/** What single customers were asked for in one round: each once. */
export interface CustomerQuestions {
  /** False = no answer came. Throws METER_STRIPE_REFUSED. */
  readonly ask: (customer: string) => Promise<boolean>;
  readonly isAsked: (customer: string) => boolean;
  /** Of when an answer is that took no call; null = it was asked for now, or there is none. */
  readonly rememberedAt: (customer: string) => number | null;
  /** Who gave no answer. */
  readonly silent: () => readonly string[];
  /** What a customer's question brought; null while there is no answer. */
  readonly told: (customer: string) => CustomerPeriods | null;
  /** False = the biller does not tell of subscriptions. */
  readonly isTold: () => boolean;
  /** So many questions in a row got no answer that no further one is worth its time. */
  readonly isSilent: () => boolean;
}

/** Opens a round's questions. One without an answer keeps none of the other customers waiting. */
export function openQuestions(
  reporter: Pick<UsageReporter, "customerPeriods">,
  wasSilent: (customer: string) => boolean,
  onUntold?: () => void,
): CustomerQuestions {
  const asked = new Map<string, Promise<boolean>>();
  const told = new Map<string, CustomerPeriods>();
  let isTold = true;
  const silent: string[] = [];
  let failuresInARow = 0;

  async function question(customer: string): Promise<boolean> {
    try {
      await learn(customer);
      if (rememberedAt(customer) === null) failuresInARow = 0;
      return true;
    } catch (error) {
      if (!isMeterbookError(error) || error.code !== "METER_STRIPE_UNREACHABLE") throw error;
      silent.push(customer);
      // One who was silent in the last round too says nothing of the others, and must not keep them from being asked.
      if (!wasSilent(customer)) failuresInARow += 1;
      return false;
    }
  }

  async function learn(customer: string): Promise<void> {
    const periods = reporter.customerPeriods === undefined ? null : await reporter.customerPeriods(customer);
    if (periods !== null) return void told.set(customer, periods);
    isTold = false;
    if (reporter.customerPeriods === undefined) onUntold?.();
  }

  function rememberedAt(customer: string): number | null {
    const answer = told.get(customer);
    return answer === undefined ? null : (ownMember(answer, "asOf") ?? null);
  }

  return {
    rememberedAt,
    silent: () => silent,
    ask: (customer) => {
      const answered = asked.get(customer) ?? question(customer);
      asked.set(customer, answered);
      return answered;
    },
    isAsked: (customer) => asked.has(customer),
    told: (customer) => told.get(customer) ?? null,
    isTold: () => isTold,
    isSilent: () =>
      failuresInARow >= limits.subscriptionFailuresMax || silent.length >= limits.subscriptionFailuresPerRoundMax,
  };
}
