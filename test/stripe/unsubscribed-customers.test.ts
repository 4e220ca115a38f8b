import { describe, expect, it } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import { unsubscribedCustomers } from "../../src/stripe/unsubscribed-customers.ts";

describe("customers without a subscription", () => {
  it("are remembered up to a bound; the one who was asked for first is then as a new one", () => {
    const customers = unsubscribedCustomers();
    for (let at = 0; at <= limits.unsubscribedCustomersMax; at++) customers.keep(`cus_${at}`);
    for (let at = 0; at < limits.unsubscribedQuestionsPerHour; at++) expect(customers.mayAsk("cus_9", 1)).toBe(true);
    expect([customers.mayAsk("cus_0", 1), customers.mayAsk("cus_1", 1)]).toEqual([true, false]);
    expect([customers.mayAsk(`cus_${limits.unsubscribedCustomersMax}`, 1), customers.mayAsk("cus_1", 2)]).toEqual([
      false,
      true,
    ]);
  });

  it("are forgotten as soon as one begins", () => {
    const customers = unsubscribedCustomers();
    customers.keep("cus_1");
    for (let at = 0; at < limits.unsubscribedQuestionsPerHour; at++) customers.mayAsk("cus_1", 1);
    expect(customers.mayAsk("cus_1", 1)).toBe(false);
    customers.drop("cus_1");
    expect(customers.mayAsk("cus_1", 1)).toBe(true);
  });
});
