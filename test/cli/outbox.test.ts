import { expect, it } from "vitest";

import { billedApp, job } from "./billed-app.ts";

const WHY = ["--by", "ann", "--cause", "seen on the invoice"] as const;

it("lists reports by state, shows one with its whole history, and takes an operator's word about it", async () => {
  const { stripe, work, run, json, assertWhole } = await billedApp();
  await work(job("a", "120"), job("b", "7", { companyId: "stranger" }));
  stripe.failNext({ kind: "server_error", when: "before" });
  await json("report");
  const open = await json("outbox");
  const states = open.map(({ state, company }) => `${String(company)} ${String(state)}`);
  expect(states.toSorted()).toEqual(["acme pending", "stranger held", "stranger held"]);
  const pending = open.find(({ state }) => state === "pending");
  expect(pending).toMatchObject({ kind: "usage", attempts: 1, late: null, mode: "delta" });
  expect(pending?.["first_attempt_at"]).toMatch(/^\d{4}-/);
  expect(await json("outbox", "list", "--state", "held", "--meter", "jobs")).toMatchObject([{ reason: "no_customer" }]);
  expect(await json("outbox", "--state", "accepted", "--company", "acme")).toHaveLength(1);
  const table = await run("outbox", "--company", "acme");
  expect(table.stdout).toMatch(/row +kind +meter +company +customer +window +value +state +tries +first try +reason/);
  expect(table.stdout).toMatch(/usage +\w+ +acme +cus_acme .* pending +1 /);

  const row = String(pending?.["row"]);
  const [shown] = await json("outbox", "show", row);
  expect(shown).toMatchObject({ row: pending?.["row"], history: [{ what: "attempt", to: "retry" }] });
  expect((await run("outbox", "show", String(pending?.["identifier"]))).stdout).toMatch(/attempt → retry: /);
  const held = (await json("outbox", "--state", "held", "--meter", "job_tokens"))[0];
  const heldRow = String(held?.["row"]);
  expect(await json("outbox", "resolve", heldRow, "--as", "write-off", "--dry-run")).toMatchObject([
    { to: "dead", applied: false, state: "held" },
  ]);
  expect(await json("outbox", "resolve", heldRow, "--as", "write-off", ...WHY)).toMatchObject([{ applied: true }]);
  expect((await run("outbox", "show", heldRow)).stdout).toContain(
    "change by operator:ann → dead: write-off: seen on the invoice",
  );
  expect(await json("status")).toMatchObject([{ outbox: { dead: 1, conflict: 0, settled: 0, held: 1 } }]);
  const listed = await json("held", "list");
  expect(listed.map(({ row: number, state }) => [number, state])).toContainEqual([held?.["row"], "dead"]);
  await assertWhole();
});

it.each([
  [["list", "--state", "lost"], /--state is "lost"/],
  [["show", "99"], /There is no report 99[\s\S]*outbox --state all[\s\S]*METER_UNKNOWN_REPORT/],
  [["show", "mb1_none"], /There is no report mb1_none[\s\S]*METER_UNKNOWN_REPORT/],
  [["resolve", "99", "--as", "resend", "--dry-run"], /There is no report 99[\s\S]*METER_UNKNOWN_REPORT/],
  [["resolve", "1", "--as", "paid", "--dry-run"], /--as is "paid"/],
  [
    ["resolve", "1", "--as", "delivered", "--dry-run"],
    /delivered does not fit report 1: it is accepted[\s\S]*nothing is to be decided/,
  ],
  [["resolve", "1", "--as", "delivered"], /--by is missing/],
  [["resolve", "1"], /--as/],
])("outbox %j is refused and says why", async (args, text) => {
  const { work, run, json } = await billedApp();
  await work(job("a", "1"));
  await json("report");
  const result = await run("outbox", ...args);
  expect(result.stderr).toMatch(text);
  expect(result.code).toBe(1);
});

it("says that there are no reports, that none waits, or that none is as asked", async () => {
  const { work, run, json } = await billedApp();
  await work(job("a", "1"));
  expect((await run("outbox")).stdout).toMatch(/^There are no reports yet/);
  expect((await run("reconcile", "--dry-run")).stdout).toMatch(/^Nothing was reported to Stripe so far/);
  expect((await run("held")).stdout).toBe("Nothing is held, refused or in conflict.\n");
  await json("report");
  expect((await run("outbox")).stdout).toBe("Every report is at Stripe.\n");
  expect((await run("outbox", "--state", "dead")).stdout).toBe("There is no report that is dead.\n");
  expect((await run("outbox", "--company", "acmee", "--state", "all")).stdout).toBe(
    "There is no report for company acmee.\n",
  );
  const cut = await run("outbox", "--state", "accepted", "--limit", "1");
  expect(cut.stderr).toContain("Only the first 1 are shown; --limit <n> shows more.");
}, 60_000);
