import { expect, it } from "vitest";

import { billedApp, HOUR, job, JOBS_YAML, THEN } from "./billed-app.ts";

const FROM = new Date(THEN).toISOString();
const WHY = ["--by", "ann", "--cause", "wrong field"] as const;

/** Work that stated two numbers. */
function both(id: string, tokens: string, all: string, more = {}): ReturnType<typeof job> {
  return job(id, null, { values: { tokens, all }, ...more });
}

it("judges the past by the edited meter: shows it first, then Stripe gets the difference", async () => {
  const { stripe, work, edit, run, json, assertWhole } = await billedApp();
  await work(both("a", "5", "50"), both("b", "7", "70", { time: THEN + HOUR, companyId: "globex" }), job("c", "1"));
  await json("report");
  edit(JOBS_YAML.replace("values.tokens", "values.all"));
  await work();
  expect(stripe.total("job_tokens", "cus_acme")).toBe("6");

  const shown = await run("replay", "job_tokens", "--from", FROM, "--dry-run");
  expect(shown).toMatchObject({ code: 0, stderr: "" });
  expect(shown.stdout).toMatch(/3 events {2}held 0 → 1/);
  expect(shown.stdout).toMatch(/acme +6 +50 +44 +6 +44/);
  expect(shown.stdout).toMatch(/globex +7 +70 +63 +7 +63/);
  await assertWhole();

  const [done] = await json("replay", "job_tokens", "--from", FROM, ...WHY);
  expect(done).toMatchObject({ meter: "job_tokens", version: 3, events: 3, applied: true });
  expect(done?.["companies"]).toMatchObject([
    { company: "acme", difference: "44", reported: "6", correction: "44" },
    { company: "globex", difference: "63" },
  ]);
  await assertWhole();
  await json("report");
  expect(stripe.total("job_tokens", "cus_acme")).toBe("50");
  expect(stripe.total("job_tokens", "cus_globex")).toBe("70");
  expect(await json("held", "list")).toMatchObject([{ id: "c", reason: "missing_value" }]);
  await assertWhole();

  // The app goes on by the same meters, and late events of then count by the replayed version.
  await work(both("d", "9", "90"));
  await json("report");
  expect(stripe.total("job_tokens", "cus_acme")).toBe("140");
  await assertWhole();
});

it("replays a span, and says why where it cannot", async () => {
  const { work, edit, run, json, assertWhole } = await billedApp();
  await work(both("a", "5", "50"), both("b", "7", "70", { time: THEN + HOUR }));
  const until = new Date(THEN + HOUR).toISOString();
  const refused = async (text: RegExp, ...args: readonly string[]) => {
    const result = await run("replay", ...args);
    expect(result.stderr).toMatch(text);
    expect(result.code).toBe(1);
  };
  await refused(/counts from .* on already[\s\S]*METER_CORRECTION_REFUSED/, "job_tokens", "--from", FROM, "--dry-run");
  edit(JOBS_YAML.replace("values.tokens", "values.all"));
  await work();
  await refused(/METER_UNKNOWN_METER/, "job_token", "--from", FROM, "--dry-run");
  await refused(/--by is missing/, "job_tokens", "--from", FROM);
  await refused(/--from/, "job_tokens", "--dry-run");
  await refused(/--from is "then"/, "job_tokens", "--from", "then", "--dry-run");
  const [done] = await json("replay", "job_tokens", "--from", FROM, "--to", until, ...WHY);
  expect(done).toMatchObject({ events: 1, companies: [{ before: "5", after: "50" }] });
  expect(await json("usage", "--meter", "job_tokens")).toMatchObject([{ value: "57" }]);
  await assertWhole();
});
