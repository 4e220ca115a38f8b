import { describe, expect, it, onTestFinished } from "vitest";

import { loadConfig } from "../../src/runtime/load-config.ts";
import { openNode, type MeterNode } from "../../src/runtime/node.ts";
import { reportCycle } from "../../src/runtime/report-cycle.ts";
import { billedApp, HOUR, job, THEN, type BilledApp } from "./billed-app.ts";
import { records } from "./cli.ts";

/** Reports as it was done some hours ago, by the clocks of both sides. */
async function reportedBefore({ directory, stripe }: BilledApp, agoMs: number): Promise<void> {
  const clock = { now: (): number => Date.now() - agoMs };
  stripe.setTime(clock.now());
  const env = { STRIPE_API_KEY: "sk_test_x", STRIPE_API_BASE: stripe.url };
  const { settings } = loadConfig({ config: "meterbook.yaml", directory, env });
  const node: MeterNode = await openNode({
    settings,
    clock,
    ownWriter: null,
    adoptFrom: null,
    onNotice: () => undefined,
  });
  try {
    await reportCycle(node, { clock, holder: "before", onNotice: () => undefined });
  } finally {
    await node.close();
  }
  stripe.setTime(Date.now());
}

const AT = THEN - 4 * HOUR;

/** Two companies' work, reported three hours ago. */
async function app(): Promise<BilledApp> {
  const made = await billedApp();
  await made.work(
    job("a", "120", { time: AT }),
    job("b", "80", { time: AT + HOUR }),
    job("c", "7", { companyId: "globex", time: AT }),
  );
  await reportedBefore(made, 3 * HOUR);
  return made;
}

const write = async ({ stripe }: BilledApp, value: string, timestamp: number): Promise<void> => {
  const form = new URLSearchParams({
    event_name: "job_tokens",
    "payload[stripe_customer_id]": "cus_acme",
    "payload[value]": value,
    timestamp: String(timestamp / 1_000),
  });
  const answer = await fetch(`${stripe.url}/v1/billing/meter_events`, {
    method: "POST",
    headers: { authorization: "Bearer sk_test_other", "content-type": "application/x-www-form-urlencoded" },
    body: form.toString(),
  });
  if (!answer.ok) throw new Error(await answer.text());
};

describe("meterbook reconcile", () => {
  it("settles what Stripe's books show, and ends with 0", async () => {
    const made = await app();
    expect(await made.json("reconcile", "--dry-run")).toMatchObject([
      { kind: "summary", lanes: 4, settled: 6, dryRun: true },
    ]);
    expect((await made.json("status"))[0]).toMatchObject({ outbox: { settled: 0 }, drift: { differences: 0 } });
    expect(await made.json("reconcile")).toMatchObject([
      { kind: "summary", lanes: 4, left: 0, reads: 4, settled: 6, drifts: 0, changes: 0, stopped: null, dryRun: false },
    ]);
    expect((await made.json("status"))[0]).toMatchObject({ outbox: { settled: 6, accepted: 6 } });
    await made.assertWhole();
  });

  it("shows a table of what differs, ends with 1, and corrects on a person's word", async () => {
    const made = await app();
    await write(made, "30", AT + 20 * 60_000);
    const shown = await made.run("reconcile", "--dry-run");
    expect([shown.code, shown.stderr]).toEqual([1, ""]);
    const [header, row] = shown.stdout.split("\n").map((line) => line.split(/ {2,}/));
    expect(header).toEqual(["customer", "meter", "hour", "ours", "theirs", "verdict", "rows"]);
    expect(row?.slice(0, 2).concat(row.slice(3))).toEqual(["cus_acme", "job_tokens", "120", "150", "surplus"]);
    expect(shown.stdout).toContain("Nothing was changed.");
    const tried = await made.run("reconcile", "--dry-run", "--confirm", "--by", "ann", "--cause", "old exporter");
    expect(tried.stdout).toContain("the difference is reported as a negative value");
    expect((await made.json("status"))[0]).toMatchObject({ outbox: { accepted: 6, pending: 0 } });
    const done = await made.run("reconcile", "--confirm", "--by", "ann", "--cause", "old exporter", "--json");
    expect([done.code, records(done).at(-1)]).toEqual([
      0,
      expect.objectContaining({ kind: "confirmed", by: "adjust", ours: "120", theirs: "150" }),
    ]);
    expect((await made.run("report")).code).toBe(0);
    expect(made.stripe.total("job_tokens", "cus_acme")).toBe("200");
    const again = await made.run("reconcile", "--confirm", "--by", "ann", "--cause", "old exporter");
    expect(again.code).toBe(0);
    await made.assertWhole();
  });

  it("names the row whose report is not there", async () => {
    const made = await billedApp();
    await made.work(job("a", "120", { time: AT }), job("b", "80", { time: AT + HOUR }));
    made.stripe.failNext({ kind: "reject_later", code: "meter_event_customer_not_found" });
    await reportedBefore(made, 3 * HOUR);
    const missing = records(await made.run("reconcile", "--json")).filter(({ kind }) => kind === "drift");
    expect(missing).toMatchObject([{ verdict: "missing", theirs: "0", rows: [expect.any(Number)] }]);
    expect((await made.json("status"))[0]).toMatchObject({ drift: { lanes: 1, missing: 1 } });
    const status = await made.run("status");
    expect(status.stdout).toMatch(
      /4 accepted \(3 of them seen in its books\), 0 pending, 0 held, 0 dead, 0 in conflict/,
    );
    expect(status.stdout).toContain("✗ Stripe's books differ, as last compared: 1 missing, 0 surplus");
    expect(status.stderr).toContain("meterbook reconcile --dry-run");
  });

  it("says that reports of just now are not judged yet", async () => {
    const made = await billedApp();
    await made.work(job("a", "120", { time: AT }));
    await made.json("report");
    const young = await made.run("reconcile", "--dry-run");
    expect(young.stdout).toContain("0 differences · 0 readings");
    expect(young.stderr).toContain("less than 2 hours old are not judged");
  });

  it("looks at one company or one meter only", async () => {
    const made = await app();
    const lanes = async (...args: readonly string[]) =>
      (await made.json("reconcile", "--dry-run", ...args))[0]?.["lanes"];
    expect(await lanes("--company", "acme")).toBe(2);
    expect(await lanes("--meter", "jobs")).toBe(2);
    expect(await lanes("--meter", "job_tokens", "--company", "globex")).toBe(1);
    expect(await lanes("--company", "nobody")).toBe(0);
    const nobody = await made.run("reconcile", "--dry-run", "--company", "nobody");
    expect(nobody.stdout).toBe(
      "Nothing for company nobody was reported to Stripe so far, so there is nothing to compare.\n",
    );
  });

  it.each([
    [["--confirm"], "METER_COMMAND_INVALID"],
    [["--confirm", "--by", "ann"], "METER_COMMAND_INVALID"],
    [["--confirm", "--by", " ", "--cause", "x"], "METER_COMMAND_INVALID"],
    [["--confirm", "--by", "ann\u001b[31m", "--cause", "x"], "METER_COMMAND_INVALID"],
    [["--meter", "job_tokns"], "METER_UNKNOWN_METER"],
  ])("refuses %j", async (args, code) => {
    const made = await billedApp();
    await made.work(job("a", "120", { time: AT }));
    const result = await made.run("reconcile", ...args, "--json");
    expect([result.code, JSON.parse(result.stderr)]).toEqual([1, expect.objectContaining({ code })]);
  });

  it("says that there are no books without a key, and ends with 1 when they cannot be read", async () => {
    const made = await app();
    made.stripe.failNext({ kind: "forbidden", on: "meter_event_summary.list", times: 9 });
    const refused = await made.run("reconcile", "--json");
    expect([refused.code, records(refused)]).toEqual([
      1,
      [expect.objectContaining({ lanes: 0, left: 4, stopped: expect.stringContaining("403") })],
    ]);
    made.edit("version: 1\nstorage: { path: ./meter.db }\nmeters: { jobs: { aggregate: count } }\n");
    const without = await made.run("reconcile", "--json");
    expect([without.code, JSON.parse(without.stderr.split("\n").at(-2) ?? "")]).toEqual([
      1,
      expect.objectContaining({ code: "METER_STRIPE_KEY_MISSING" }),
    ]);
  });

  it("waits for another process that reports, and says so when that does not end", async () => {
    const made = await app();
    const env = { STRIPE_API_KEY: "sk_test_x", STRIPE_API_BASE: made.stripe.url };
    const { settings } = loadConfig({ config: "meterbook.yaml", directory: made.directory, env });
    const clock = { now: (): number => Date.now() };
    const node = await openNode({ settings, clock, ownWriter: null, adoptFrom: null, onNotice: () => undefined });
    onTestFinished(() => node.close());
    expect(await node.store.lease("reporter", "other", clock.now(), 60_000)).toBe(true);
    const waiting = made.run("reconcile", "--json");
    expect(records(await waiting)).toEqual([{ busy: true }]);
    await node.store.lease("reporter", "other", clock.now(), 0);
    expect((await made.run("reconcile")).code).toBe(0);
  });
});
