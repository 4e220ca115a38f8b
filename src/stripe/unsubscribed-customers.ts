import { limits } from "../engine/limits.ts";

/** Customers who had no subscription when they were asked for. */
export interface UnsubscribedCustomers {
  /** Whether a question is due; it counts as asked. The hour is that of the list of all subscriptions. */
  readonly mayAsk: (customer: string, hour: number) => boolean;
  readonly keep: (customer: string) => void;
  readonly drop: (customer: string) => void;
}

/**
 * Remembers who had none. Who has one since is told by the hour's list of all, so these are asked for again only so often an
 * hour, all of them together (limits.unsubscribedQuestionsPerHour); everybody else always.
 */
export function unsubscribedCustomers(): UnsubscribedCustomers {
  const customers = new Set<string>();
  let questions = { hour: -Infinity, asked: 0 };
  return {
    mayAsk: (customer, hour) => {
      if (!customers.has(customer)) return true;
      if (hour !== questions.hour) questions = { hour, asked: 0 };
      if (questions.asked >= limits.unsubscribedQuestionsPerHour) return false;
      questions = { hour, asked: questions.asked + 1 };
      return true;
    },
    keep: (customer) => {
      customers.add(customer);
      const [oldest] = customers;
      if (customers.size > limits.unsubscribedCustomersMax && oldest !== undefined) customers.delete(oldest);
    },
    drop: (customer) => void customers.delete(customer),
  };
}
