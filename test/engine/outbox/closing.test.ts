import { describe, expect, it } from "vitest";

import type { MeterDefinition } from "../../../src/core/meter.ts";
import { isReported, latePolicyOf, payerOf, reportDefinitions } from "../../../src/engine/outbox/closing.ts";
import { memoryStore } from "../../../src/memory/memory-store.ts";
import { recordingReporter } from "../../../src/testing/recording-reporter.ts";
import { calls, catalogOf, MINUTE, tokens, world } from "../world.ts";
import { closingOf } from "./closing-world.ts";

const lane = { company: "acme", reportAs: "chat_tokens" };

describe("who pays", () => {
  it.each([null, "hour", "day"] as const)(
    "is the company's one customer, on a meter that keeps %s",
    async (keepsLast) => {
      const reporter = recordingReporter({ customers: { acme: "cus_1" } });
      reporter.setMeter("chat_tokens", { kind: "ready", keepsLast });
      const { closing } = await closingOf(world(), reporter);
      expect(await payerOf(closing, lane)).toEqual({ kind: "found", customer: "cus_1", keepsLast });
    },
  );

  it("is nobody where Stripe knows no customer, two of them, or a deleted one", async () => {
    const base = world();
    const reporter = recordingReporter({ customers: { acme: "cus_1", globex: "cus_2" } });
    reporter.addCustomer("globex", "cus_3");
    const { closing } = await closingOf(base, reporter);
    expect(await payerOf(closing, { ...lane, company: "initech" })).toEqual({ kind: "none", reason: "no_customer" });
    expect(await payerOf(closing, { ...lane, company: "globex" })).toEqual({ kind: "none", reason: "two_customers" });
    await base.store.putCustomerMappings([
      { company: "hooli", state: "deleted", customers: ["cus_9"], checkedAt: base.clock.now(), misses: 1 },
    ]);
    const { closing: later } = await closingOf(base, reporter);
    expect(await payerOf(later, { ...lane, company: "hooli" })).toEqual({ kind: "none", reason: "customer_deleted" });
  });

  it("is nobody while the meter cannot be reported to, and then no customer is asked for", async () => {
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    const windowed = catalogOf({ ...tokens, eventTimeWindow: "day" }, { ...calls, reportAs: "calls" });
    const { closing } = await closingOf(world({ catalog: windowed }), reporter);
    const unasked = { ...lane, company: "initech" };
    expect(await payerOf(closing, unasked)).toEqual({ kind: "none", reason: "stripe_meter_mismatch" });
    reporter.setMeter("calls", { kind: "missing", reason: "none is called so" });
    expect(await payerOf(closing, { ...unasked, reportAs: "calls" })).toEqual({
      kind: "none",
      reason: "stripe_meter_missing",
    });
    reporter.setMeter("calls", { kind: "unfit", reason: "inactive" });
    expect(await payerOf(closing, { ...unasked, reportAs: "calls" })).toEqual({
      kind: "none",
      reason: "stripe_meter_unfit",
    });
    expect(reporter.questions.finds).toBe(0);
  });
});

function names(definitions: ReadonlyMap<string, MeterDefinition>): unknown {
  return Object.fromEntries([...definitions].map(([key, { name }]) => [key, name]));
}

describe("the meters that are reported", () => {
  it("are those of the file, and those that left it as they were last", async () => {
    const store = memoryStore({ bucketMs: MINUTE });
    const versions = [
      { definition: { ...calls, name: "third" }, version: 3, effectiveFrom: 30 },
      { definition: { ...calls, name: "first" }, version: 1, effectiveFrom: 0 },
      { definition: { ...tokens, name: "before" }, version: 9, effectiveFrom: 0 },
      { definition: { ...calls, name: "second" }, version: 2, effectiveFrom: 20 },
    ];
    await store.addMeterVersions(versions, 0);
    const catalog = catalogOf({ ...tokens, name: "in the file" });
    expect(names(await reportDefinitions({ store, catalog }))).toEqual({ calls: "third", chat_tokens: "in the file" });
  });

  it("are only those that are to be reported and that add up over windows", async () => {
    const store = memoryStore({ bucketMs: MINUTE });
    await store.addMeterVersions([{ definition: { ...calls, report: false }, version: 1, effectiveFrom: 0 }], 0);
    const catalog = catalogOf({ ...tokens, aggregate: "max" }, { ...tokens, key: "quiet", report: false });
    expect(names(await reportDefinitions({ store, catalog }))).toEqual({});
    expect([tokens, calls].map(isReported)).toEqual([true, true]);
    const aggregates = ["min", "max", "avg", "unique", "latest"] as const;
    expect(aggregates.map((aggregate) => isReported({ ...tokens, aggregate }))).toEqual(aggregates.map(() => false));
  });
});

describe("late usage", () => {
  it("is held where nothing else is said of its meter, or the meter is unknown", () => {
    expect(latePolicyOf(tokens)).toBe("hold");
    expect(latePolicyOf(undefined)).toBe("hold");
    const policies = ["carry", "hold", "write_off"] as const;
    expect(policies.map((late) => latePolicyOf({ ...tokens, late }))).toEqual(policies);
  });
});
