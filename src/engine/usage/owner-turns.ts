import type { Attribution } from "../registry/customer.ts";
import type { JudgedQuestion } from "./judged-question.ts";

/** When a company's usage became another customer's, or nobody's: usage of such a span is not one customer's. */
export interface OwnerTurns {
  /** The turns after `start` and before `end`, in order. */
  within(company: string, start: number, end: number): readonly number[];
}

/** For questions that do not ask who pays. */
export const NO_TURNS: OwnerTurns = { within: () => [] };

/** The turns that matter to a question. */
export function ownerTurns({ byCustomer }: Pick<JudgedQuestion, "byCustomer">, attribution: Attribution): OwnerTurns {
  if (!byCustomer) return NO_TURNS;
  const known = new Map<string, readonly number[]>();
  const turnsOf = (company: string): readonly number[] => {
    let turns = known.get(company);
    if (turns === undefined) {
      turns = attribution.turnsOf(company);
      known.set(company, turns);
    }
    return turns;
  };
  return {
    within: (company, start, end) => {
      const turns = turnsOf(company);
      return turns.length === 0 ? turns : turns.filter((turn) => turn > start && turn < end);
    },
  };
}
