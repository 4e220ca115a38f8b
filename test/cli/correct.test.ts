import { expect, it } from "vitest";

import { billedApp, HOUR, job, THEN } from "./billed-app.ts";

const WHY = ["--by", "ann", "--cause", "load test"] as const;

it("voids an event: Stripe is told the difference, and everything says who and why", async () => {
  const { stripe, work, run, json, assertWhole } = await billedApp();
  await work(job("a", "120"), job("b", "30"));
  await json("report");
  expect(stripe.total("job_tokens", "cus_acme")).toBe("150");

  const shown = await run("correct", "void", "a", "--dry-run");
  expect(shown).toMatchObject({ code: 0, stderr: "" });
  expect(shown.stdout).toMatch(/job_tokens +acme +\S+ – \S+ +150 +30 +-120 +150/);
  expect(shown.stdout).toContain("Nothing was changed");
  expect(await json("report")).toMatchObject([{ closed: 0 }]);

  const [done] = await json("correct", "void", "a", ...WHY);
  expect(done).toMatchObject({ event: { id: "a" }, replacement: null, applied: true });
  expect(done?.["usage"]).toContainEqual({
    meter: "job_tokens",
    company: "acme",
    from: new Date(THEN).toISOString().replace(".000", ""),
    to: new Date(THEN + HOUR).toISOString().replace(".000", ""),
    before: "150",
    after: "30",
    difference: "-120",
    reported: "150",
  });
  await json("report");
  expect(stripe.total("job_tokens", "cus_acme")).toBe("30");
  expect(stripe.total("jobs", "cus_acme")).toBe("1");
  await assertWhole();

  const explained = await run("explain", "a");
  expect(explained.stdout).toMatch(/voided \S+ \S+ by operator:ann: load test/);
  expect(explained.stdout).toContain("✗ job_tokens  voided: load test");
  const [other] = await json("explain", "b");
  expect(other).toMatchObject({
    verdicts: [
      {
        meter: "job_tokens",
        record: {
          corrections: 1,
          all: [
            { kind: "usage", sequence: 0, state: "accepted", value: "150", customer: "cus_acme" },
            { kind: "usage", sequence: 1, state: "accepted", value: "-120", customer: "cus_acme" },
          ],
        },
      },
      {},
    ],
  });
  const again = await run("correct", "void", "a", ...WHY);
  expect(again.code).toBe(1);
  expect(again.stderr).toContain("METER_CORRECTION_REFUSED");
});

it("says that nothing changes when the replacement is held as the event was", async () => {
  const { work, run, json } = await billedApp();
  const { companyId: _nobody, ...unowned } = job("a", "7");
  await work(unowned);
  const done = await run("correct", "replace", "a", "--meter", "job_tokens", "--value", "8", ...WHY);
  expect(done.stdout).toMatch(/^a is void; a~[0-9a-f]{16} takes its place and is held, so it counts for nothing yet\n/);
  expect(done.stdout).toContain("  job_tokens: held: no companyId was given\n");
  expect(done.stderr).toMatch(/meterbook held assign a~[0-9a-f]{16} --company <id>/);
  expect(done.stdout).toContain("No usage changes: every meter says of it what it said before.");
  expect(done.stdout).not.toContain("next report");
  const [replaced] = (await json("held", "list")).map(({ id }) => String(id));
  expect(replaced).toMatch(/^a~/);
  const trial = await run("correct", "replace", String(replaced), "--set", "values.tokens=9", "--dry-run");
  expect(trial.stdout).toMatch(/would be void; a~\w+ would take its place and be held/);
  const [owned] = await json("correct", "replace", String(replaced), "--set", "company=acme", ...WHY);
  expect(owned).toMatchObject({ held: [], replacement: { company: "acme", time: expect.stringMatching(/Z$/) } });
});

it("says which meters count a replacement, and which hold it and why", async () => {
  const { work, run, json } = await billedApp();
  await work(job("a", null));
  const args = ["correct", "replace", "a", "--set", "values.pages=2", "--dry-run"];
  const done = await run(...args);
  expect(done.stdout).toMatch(
    /^a would be void; a~\w+ would count instead for jobs\n {2}job_tokens: held: values\.tokens/,
  );
  expect(done.stderr).toMatch(/meterbook correct replace a~\w+ --meter <meter> --value <n>/);
  expect(await json(...args)).toMatchObject([{ held: [{ meter: "job_tokens", reason: "missing_value" }] }]);
});

it("replaces a value: held events count, wrong ones are corrected, and the wrong company's go to the right one", async () => {
  const { stripe, work, run, json, assertWhole } = await billedApp();
  await work(job("held", null), job("wrong", "7"), job("theirs", "5"));
  const [held] = await json("held", "list");
  expect(held).toMatchObject({ id: "held", reason: "missing_value" });
  await json("report");
  const [first] = await json("correct", "replace", "held", "--meter", "job_tokens", "--value", "3", ...WHY);
  expect(first).toMatchObject({ replacement: { corrects: { id: "held" }, values: { tokens: "3" } }, applied: true });
  await json("correct", "replace", "wrong", "--set", "values.tokens=70", ...WHY);
  await json("correct", "replace", "theirs", "--set", "company=globex", ...WHY);
  expect(await json("held", "list")).toEqual([]);
  await json("report");
  expect(stripe.total("job_tokens", "cus_acme")).toBe("73");
  expect(stripe.total("job_tokens", "cus_globex")).toBe("5");
  expect(stripe.total("jobs", "cus_acme")).toBe("2");
  await assertWhole();
  const { id } = (first?.["replacement"] ?? {}) as { id: string };
  expect((await run("explain", id)).stdout).toContain("counts instead of held");
  const text = (await run("correct", "replace", id, "--meter", "job_tokens", "--value", "4", "--dry-run")).stdout;
  expect(text).toContain("job_tokens: counted 3 → counted 4");
  expect(text).toMatch(/would be void; held~[0-9a-f]{16} would count instead/);
});

it("cancels a report that Stripe just got: its usage goes to who pays now", async () => {
  const { stripe, work, run, json, assertWhole } = await billedApp();
  await work(job("a", "120"));
  await json("report");
  const rows = await json("outbox", "list", "--state", "accepted", "--meter", "job_tokens");
  const identifier = String(rows[0]?.["identifier"]);
  const shown = await run("correct", "cancel", identifier, "--dry-run");
  expect(shown.stdout).toContain("say 120 → 0, cover 120 → 0");
  const [done] = await json("correct", "cancel", identifier, ...WHY);
  expect(done).toMatchObject({ row: rows[0]?.["row"], applied: true, sent: { before: "120", after: "0" } });
  await assertWhole();
  await json("report");
  await json("report");
  expect(stripe.ledger().filter(({ eventName }) => eventName === "job_tokens")).toMatchObject([{ value: "120" }]);
  await assertWhole();
  const history = await run("outbox", "show", identifier);
  expect(history.stdout).toMatch(/change by operator:ann → accepted: cancelled by row \d+: load test/);
});

it.each([
  [["void", "a"], /--by is missing[\s\S]*--dry-run/],
  [["void", "a", "--by", "ann"], /--cause is missing/],
  [["void", "a", "--by", "ann", "--cause", "x\u0007y"], /control characters/],
  [["replace", "a", "--dry-run"], /not clear[\s\S]*--set/],
  [["replace", "a", "--set", "values.tokens", "--dry-run"], /--set is "values\.tokens"/],
  [["replace", "a", "--meter", "job_tokens", "--dry-run"], /not clear/],
  [["replace", "a", "--set", "id=b", "--dry-run"], /id cannot be set/],
  [["replace", "a", "--meter", "jobs", "--value", "1", "--dry-run"], /counts events/],
  [["replace", "a", "--meter", "job_token", "--value", "1", "--dry-run"], /METER_UNKNOWN_METER/],
  [["void", "nothing", "--dry-run"], /METER_EVENT_NOT_FOUND/],
  [["cancel", "mb1_none", "--dry-run"], /There is no report mb1_none[\s\S]*METER_UNKNOWN_REPORT/],
])("correct %j is refused and says why", async (args, text) => {
  const { work, run } = await billedApp();
  await work(job("a", "1"));
  const result = await run("correct", ...args);
  expect(result.stderr).toMatch(text);
  expect(result.code).toBe(1);
});
