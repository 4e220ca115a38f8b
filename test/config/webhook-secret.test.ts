import { describe, expect, it } from "vitest";

import { formatProblems } from "../../src/config/problem.ts";
import { readConfig, readConfigObject, type ConfigReading } from "../../src/config/read-config.ts";

const surroundings = { file: "meterbook.yaml", directory: "/d", env: {} };

function read(line: string, env: Record<string, string> = {}): ConfigReading {
  const text = `version: 1\nmeters: { m: { aggregate: count } }\nbilling:\n  stripe:\n    apiKey: \${STRIPE_API_KEY}\n    ${line}\n`;
  return readConfig({ ...surroundings, env: { STRIPE_API_KEY: "sk_test_x", ...env }, text, format: "yaml" });
}

const secretOf = (reading: ConfigReading) => (reading.ok ? reading.settings.billing.stripe?.webhookSecret : undefined);
const printed = (reading: ConfigReading) => formatProblems(reading.ok ? reading.warnings : reading.problems);
const VARIABLE = "webhookSecret: ${STRIPE_WEBHOOK_SECRET}";

const config = (stripe: object): object => ({
  version: 1,
  meters: { m: { aggregate: "count" } },
  billing: { stripe },
});

describe("billing.stripe.webhookSecret", () => {
  it("comes from the environment; blanks around it are none of it", () => {
    const reading = read(VARIABLE, { STRIPE_WEBHOOK_SECRET: " whsec_abc123+/=\n" });
    expect([secretOf(reading), printed(reading)]).toEqual(["whsec_abc123+/=", ""]);
  });

  it("may be several: endpoints have one each, and one that is rolled has two", () => {
    for (const text of ["whsec_a whsec_b", "whsec_a,whsec_b", "whsec_a,\n whsec_b"])
      expect(secretOf(read(VARIABLE, { STRIPE_WEBHOOK_SECRET: text }))).toBe("whsec_a whsec_b");
  });

  it("may be absent, and is told of when its variable is empty", () => {
    const absent = read("mode: test");
    expect([secretOf(absent), printed(absent)]).toEqual([null, ""]);
    for (const env of [{}, { STRIPE_WEBHOOK_SECRET: "" }]) {
      const empty = read(VARIABLE, env);
      expect(secretOf(empty)).toBeNull();
      expect(printed(empty)).toBe(
        'meterbook.yaml:6:20  warning: billing.stripe.webhookSecret: "${STRIPE_WEBHOOK_SECRET}" is empty, so there is no webhook secret: calls of Stripe are not taken',
      );
    }
  });

  it.each(["sk_test_hunter2", "hunter2", "whsec_a hunter2"])("is not %s, which is never shown", (text) => {
    const reading = read(VARIABLE, { STRIPE_WEBHOOK_SECRET: text });
    expect(reading.ok).toBe(false);
    expect(printed(reading)).toContain("a webhook secret begins with whsec_");
    expect(JSON.stringify(reading)).not.toContain("hunter2");
  });

  it.each(["webhookSecret: whsec_hunter2", "mode: test # whsec_hunter2", "webhookSecret: ${S:-whsec_hunter2}"])(
    "never stands in the file: %s",
    (line) => {
      const reading = read(line);
      expect(reading.ok).toBe(false);
      expect(printed(reading)).toContain("a webhook secret stands here in clear: roll it at Stripe");
      expect(JSON.stringify(reading)).not.toContain("hunter2");
    },
  );

  it("that is no secret does not stand in the file either", () => {
    expect(printed(read("webhookSecret: abc"))).toContain("a webhook secret does not stand in this file");
  });

  it("may come from a program, at its own place only", () => {
    const own = readConfigObject(config({ apiKey: "sk_test_x", webhookSecret: "whsec_own" }), surroundings);
    expect(secretOf(own)).toBe("whsec_own");
    for (const swapped of [
      { apiKey: "whsec_hunter2" },
      { webhookSecret: "sk_test_hunter2" },
      { apiBase: "whsec_hunter2" },
    ]) {
      const reading = readConfigObject(config(swapped), surroundings);
      expect([reading.ok, JSON.stringify(reading).includes("hunter2")]).toEqual([false, false]);
    }
  });
});
