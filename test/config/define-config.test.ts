import { describe, expect, expectTypeOf, it } from "vitest";

import { defineConfig, formatProblems, readConfigObject, type ConfigReading } from "../../src/config/index.ts";

const surroundings = { file: null, env: {}, directory: "/app" };

function printed(reading: ConfigReading): string {
  return formatProblems(reading.ok ? reading.warnings : reading.problems);
}

describe("defineConfig", () => {
  it("gives its object back, typed by its own meters", () => {
    const config = defineConfig({
      version: 1,
      meters: {
        chat_tokens: {
          match: {
            "request.route": "/chat",
            "response.status": { gte: 200, lt: 300 },
            or: [{ user: "a" }, { not: { company: ["b"] } }],
          },
          aggregate: "sum",
          value: "response.headers.X-Tokens-Used",
        },
        calls: { aggregate: "count" },
      },
      plans: {
        pro: {
          currency: "usd",
          prices: [
            { meter: "chat_tokens", model: "perUnit", unitAmount: "0.002" },
            { model: "flat", flatAmount: "9" },
          ],
        },
      },
    });
    expectTypeOf<keyof typeof config.meters>().toEqualTypeOf<"chat_tokens" | "calls">();
    type Price = NonNullable<typeof config.plans>[string]["prices"][number];
    expectTypeOf<NonNullable<Price["meter"]>>().toEqualTypeOf<"chat_tokens" | "calls">();
    const reading = readConfigObject(config, surroundings);
    expect(reading.ok && reading.settings.file).toBeNull();
    expect(reading.ok && reading.settings.plans[0]?.prices.map(({ meter }) => meter)).toEqual(["chat_tokens", null]);
  });

  it("lets the compiler find mistakes that reading finds too", () => {
    const config = defineConfig({
      version: 1,
      meters: {
        calls: {
          aggregate: "count",
          // @ts-expect-error a misspelt key
          missingvalue: "hold",
        },
        chats: {
          aggregate: "count",
          // @ts-expect-error a root that no event has
          match: { "respnse.status": 200 },
        },
      },
      // @ts-expect-error a price of no meter
      plans: { pro: { currency: "usd", prices: [{ meter: "call", model: "perUnit", unitAmount: "1" }] } },
    });
    expect(printed(readConfigObject(config, { ...surroundings, file: "meterbook.mjs" })).split("\n")).toEqual([
      'meterbook.mjs  unknown key "missingvalue" in meters.calls.  Did you mean "missingValue"?',
      expect.stringContaining('meterbook.mjs  meters.chats.match["respnse.status"]: no event has "respnse"'),
      'meterbook.mjs  plans.pro.prices[0].meter: no meter "call".  Did you mean "calls"?',
    ]);
  });
});

describe("readConfigObject", () => {
  it("takes a Stripe key from the program, and shows it nowhere else", () => {
    const stripe = { apiKey: "sk_test_51Habc", mode: "test" };
    const reading = readConfigObject(
      { version: 1, meters: { m: { aggregate: "count" } }, billing: { stripe } },
      surroundings,
    );
    expect(reading.ok && reading.settings.billing.stripe?.apiKey).toBe("sk_test_51Habc");
    const misplaced = readConfigObject(
      { version: 1, meters: { m: { aggregate: "count", name: "sk_test_51Habc" } } },
      surroundings,
    );
    expect(printed(misplaced)).toBe(
      "configuration  meters.m.name: a Stripe key stands here in clear: revoke it at Stripe, and write ${STRIPE_API_KEY}",
    );
  });

  it("reads undefined as absent, which process.env gives", () => {
    const stripe = { apiKey: undefined };
    const reading = readConfigObject(
      { version: 1, meters: { m: { aggregate: "count" } }, billing: { stripe } },
      surroundings,
    );
    expect(reading.ok && reading.settings.billing.stripe?.apiKey).toBeNull();
    expect(printed(reading)).toContain("there is no Stripe key");
  });

  const cyclic: Record<string, unknown> = { version: 1 };
  cyclic["meters"] = cyclic;
  let deep: unknown = 1;
  for (let depth = 0; depth < 10_000; depth++) deep = { a: deep };

  it.each<[string, unknown, string]>([
    ["undefined", undefined, "received a undefined"],
    ["a function", () => 1, "received a function"],
    ["a list", [], "expected a map with version and meters, received a list"],
    ["null", null, "expected a map with version and meters, received nothing"],
    ["a class instance", new Map(), "expected a plain object"],
    ["a cycle", cyclic, "contains itself"],
    ["a deep object", { version: 1, meters: deep }, "more than 64 maps or lists inside each other"],
    ["a bigint", { version: 1n, meters: {} }, "version: expected text, a number, a list or a map, received a bigint"],
    [
      "a getter that throws",
      {
        get version(): number {
          throw new Error("no");
        },
      },
      "the configuration object cannot be read: no",
    ],
    [
      "a polluting key",
      JSON.parse('{"version":1,"meters":{"__proto__":{"a":1}}}'),
      'the key "__proto__" is not allowed',
    ],
    ["Infinity", { version: Infinity, meters: {} }, "the number Infinity cannot be kept exactly"],
  ])("refuses %s", (_name, value, message) => {
    const reading = readConfigObject(value, surroundings);
    expect(reading.ok).toBe(false);
    expect(printed(reading)).toContain(message);
  });
});
