import { expect, it } from "vitest";

import { expectWhole, startOracle, type Oracle, type OracleVerdict } from "./oracle.ts";
import { scenarioPlace, type ScenarioPlace } from "./small-scenario.ts";

/** The verdict on a database that is all right, after the oracle was told something else than what happened. */
async function verdictAfter(
  tell: (oracle: Oracle, place: ScenarioPlace) => Promise<void> | void,
): Promise<OracleVerdict> {
  const oracle = await startOracle();
  try {
    const place = await scenarioPlace(oracle);
    expect(await place.run()).toMatchObject({ code: 0 });
    await tell(oracle, place);
    return await oracle.check({ directory: place.folder, stripeUrl: place.stripeUrl, env: place.environment() });
  } finally {
    await oracle.close();
  }
}

it("finds nothing wrong where nothing is", async () => {
  const verdict = await verdictAfter(() => undefined);
  expectWhole(verdict);
  expect(verdict).toMatchObject({ acknowledged: 20, stored: 20 });
  expect(Object.keys(verdict.companies).toSorted()).toEqual(["acme1", "globex1"]);
});

it("finds what was acknowledged and is not stored", async () => {
  const verdict = await verdictAfter((oracle) => {
    oracle.attempted({ token: "gone", company: "acme1", tokens: "1" });
    oracle.acknowledged("gone");
  });
  expect(verdict.companies["acme1"]).toMatchObject({ lost: ["gone"] });
  expect(() => expectWhole(verdict)).toThrow("gone");
});

it("finds what was stored and never attempted, or with another quantity or company", async () => {
  const never = await verdictAfter((oracle) => oracle.begin());
  expect(never.invented).toHaveLength(20);
  const other = await verdictAfter((oracle) => {
    oracle.attempted({ token: "1-0", company: "acme1", tokens: "0.11" });
    oracle.attempted({ token: "1-1", company: "acme1", tokens: "1.11" });
  });
  expect(other.invented).toEqual(["1-0", "1-1"]);
});

it("finds what was to be stored whole and is stored in part", async () => {
  const verdict = await verdictAfter((oracle) => {
    oracle.whole(["1-0", "1-1"]);
    oracle.whole(["absent-0", "absent-1"]);
    oracle.whole(["1-1", "absent-2"]);
  });
  expect(verdict.torn).toEqual(["1-1, not absent-2"]);
  expect(() => expectWhole(verdict)).toThrow("deeply equal");
});

it("finds a Stripe that counted more or less than the floor of what is stored", async () => {
  const verdict = await verdictAfter(async (_, { stripeUrl }) => {
    const body = new URLSearchParams({
      event_name: "chat_tokens",
      "payload[stripe_customer_id]": "cus_acme1",
      "payload[value]": "1",
    });
    const headers = { authorization: "Bearer sk_test_faults" };
    const { status } = await fetch(`${stripeUrl}/v1/billing/meter_events`, { method: "POST", headers, body });
    expect(status).toBe(200);
  });
  expect(verdict.wrongLedger).toEqual([expect.stringMatching(/^acme1: Stripe counted \d+, the floor is \d+$/)]);
});
