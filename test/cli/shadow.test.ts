import { describe, expect, it } from "vitest";

import { billedApp, HOUR, job, JOBS_YAML, THEN } from "./billed-app.ts";
import { records } from "./cli.ts";

const SHADOW_YAML = JOBS_YAML.replace("  stripe:\n", "  stripe:\n    shadow: true\n");

describe("shadow mode, by the commands", () => {
  it("says what would be sent and that nothing is, and reports from the next window on when it is over", async () => {
    const { stripe, work, edit, run, json, assertWhole } = await billedApp();
    edit(SHADOW_YAML);
    await work(job("a", "120"));
    const plan = await run("report", "--dry-run");
    expect([plan.code, plan.stdout, plan.stderr]).toEqual([
      0,
      expect.stringContaining("2 to send"),
      expect.stringContaining("shadow"),
    ]);
    const sent = await run("report");
    expect([sent.code, sent.stdout, sent.stderr]).toEqual([
      0,
      expect.stringContaining("sent 2"),
      expect.stringContaining("shadow: nothing was sent"),
    ]);
    expect(await json("status")).toMatchObject([{ shadow: true, outbox: { accepted: 2 } }]);
    expect((await run("doctor")).stdout).toContain("shadow: reports are made and never sent");
    edit(JOBS_YAML);
    await work(job("b", "7", { time: THEN + HOUR }));
    expect(await json("report")).toMatchObject([{ accepted: 2, shadow: false }]);
    // The past stays shadow, though it came late.
    expect(stripe.ledger()).toEqual([]);
    expect(await json("status")).toMatchObject([{ shadow: false, outbox: { accepted: 4 } }]);
    await assertWhole();
  }, 120_000);
});

describe("a meter that adds up otherwise than it is configured", () => {
  it("is not reported to, and report and doctor say so", async () => {
    const { stripe, work, edit, run } = await billedApp();
    edit(JOBS_YAML.replace("    aggregate: count\n", "    aggregate: count\n    eventTimeWindow: day\n"));
    await work(job("a", "120"));
    const sent = await run("report");
    expect(sent.stdout).toContain("sent 1 ");
    expect(sent.stderr).toContain("METER_STRIPE_METER_MISMATCH: Stripe's meter jobs has the event time window none");
    expect(stripe.ledger().map(({ eventName }) => eventName)).toEqual(["job_tokens"]);
    const doctor = await run("doctor", "--json");
    expect(doctor.code).toBe(1);
    expect(records(doctor).filter(({ ok }) => ok === false)).toMatchObject([
      { check: "stripe", text: expect.stringContaining("METER_STRIPE_METER_MISMATCH") },
    ]);
  }, 120_000);
});
