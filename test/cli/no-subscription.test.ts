import { expect, it } from "vitest";

import { billedApp, job, JOBS_YAML, THEN } from "./billed-app.ts";
import { records } from "./cli.ts";

const HOLDING_YAML = JOBS_YAML.replace("noSubscription: send", "noSubscription: hold");

it("says whose usage is held for want of a subscription, and what to do", async () => {
  const { stripe, work, edit, run, json, assertWhole } = await billedApp();
  edit(HOLDING_YAML);
  await work(job("a", "120"), job("b", "7", { companyId: "globex" }));
  const anchor = THEN / 1_000 - 3_600;
  stripe.createSubscription({ customer: "cus_globex", meters: ["job_tokens", "jobs"], anchor });
  stripe.createSubscription({ customer: "cus_acme", meters: ["jobs"], anchor });
  const remedy =
    "create a subscription with a price of meter job_tokens for cus_acme that covers that time (backdated), or put it on the present invoice: meterbook outbox resolve ROW --as carry";

  const plan = await run("report", "--dry-run");
  expect([plan.code, plan.stdout]).toEqual([0, expect.stringContaining("3 to send, 1 held")]);
  expect(plan.stdout).toContain("no_subscription: cus_acme has no subscription with a price of meter job_tokens");
  expect(plan.stderr).toContain(`acme: 1 row held, no subscription at that time: ${remedy}`);

  expect(await json("report")).toMatchObject([{ accepted: 3, held: 1 }]);
  expect(await json("status")).toMatchObject([
    { no_subscription: [{ company: "acme", customer: "cus_acme", meter: "job_tokens", rows: 1 }], outbox: { held: 1 } },
  ]);
  expect((await run("status")).stdout).toContain(`✗ acme: 1 row held, no subscription at that time: ${remedy}`);
  const doctor = await run("doctor", "--json");
  expect([doctor.code, records(doctor).filter(({ ok }) => ok === false)]).toMatchObject([
    1,
    [{ check: "held", text: expect.stringContaining(remedy) }],
  ]);

  stripe.createSubscription({ customer: "cus_acme", meters: ["job_tokens"], anchor });
  expect(await json("report")).toMatchObject([{ released: 1, accepted: 1, held: 0 }]);
  expect(await json("status")).toMatchObject([{ no_subscription: [] }]);
  expect((await run("doctor")).code).toBe(0);
  expect(stripe.total("job_tokens", "cus_acme")).toBe("120");
  await assertWhole();
}, 120_000);

it("says in a dry run what waits in windows that are still open", async () => {
  const { work, run } = await billedApp();
  await work(job("a", "120"), job("now", "7", { time: Date.now() }));
  expect((await run("report", "--dry-run")).stderr).toMatch(
    /\d+ more in \d+ open windows?; the first closes at \d{4}-\d\d-\d\dT\d\d:\d\d/,
  );
});
