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
  it("is not reported to, and report, its dry run and doctor fail with the reason", async () => {
    const { stripe, work, edit, run } = await billedApp();
    edit(JOBS_YAML.replace("    aggregate: count\n", "    aggregate: count\n    eventTimeWindow: day\n"));
    await work(job("a", "120"));
    const REASON = "Stripe's meter jobs has the event time window none, but is configured as day";
    const plan = await run("report", "--dry-run");
    expect(plan.stdout).toContain("Nothing was sent.");
    expect(plan.stderr).toMatch(new RegExp(`${REASON}[\\s\\S]*METER_STRIPE_METER_MISMATCH`));
    expect(plan.code).toBe(1);
    const sent = await run("report");
    expect(sent.stdout).toContain("sent 1 ");
    expect(sent.stderr).toMatch(new RegExp(`${REASON}[\\s\\S]*METER_STRIPE_METER_MISMATCH`));
    expect(sent.code).toBe(1);
    for (const args of [["report"], ["report", "--dry-run"]]) {
      const again = await run(...args, "--json");
      expect(again.code).toBe(1);
      const errors = records({ ...again, stdout: again.stderr }).filter((line) => "code" in line);
      expect(errors).toMatchObject([
        { code: "METER_STRIPE_METER_MISMATCH", message: expect.stringContaining(REASON), remedy: expect.any(String) },
      ]);
    }
    expect(stripe.ledger().map(({ eventName }) => eventName)).toEqual(["job_tokens"]);
    const doctor = await run("doctor", "--json");
    expect(doctor.code).toBe(1);
    expect(records(doctor).filter(({ ok }) => ok === false)).toMatchObject([
      { check: "stripe", text: expect.stringContaining("METER_STRIPE_METER_MISMATCH") },
    ]);
  }, 120_000);

  it("fails a report already while the file alone says so, and none once both agree", async () => {
    const { work, edit, run, json } = await billedApp();
    await work(job("a", "120"));
    edit(JOBS_YAML.replace("    aggregate: count\n", "    aggregate: count\n    eventTimeWindow: day\n"));
    const early = await run("report", "--dry-run");
    expect([early.code, early.stderr]).toEqual([1, expect.stringContaining("METER_STRIPE_METER_MISMATCH")]);
    edit(JOBS_YAML);
    expect(await json("report")).toMatchObject([{ accepted: 2 }]);
  }, 120_000);
});
