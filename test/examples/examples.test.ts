import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

import { expect, it } from "vitest";

import { cli, records, workspace } from "../cli/cli.ts";

const run = promisify(execFile);
const examples = resolve(import.meta.dirname, "../../examples");

it("custom-actions tracks its rows, and a second run bills nothing twice", async () => {
  const directory = workspace(null);
  const env = { METER_DB: join(directory, "meter.db") };
  const config = join(examples, "custom-actions/meterbook.yaml");
  const job = (): Promise<{ stdout: string }> =>
    run(process.execPath, [join(examples, "custom-actions/report-job.js")], {
      cwd: directory,
      env: { ...process.env, ...env },
    });
  const { stdout } = await job();
  expect(stdout.split("\n").slice(0, 5)).toEqual([
    "tracked report-101: acme-inc, 12 pages as pdf",
    "tracked report-102: acme-inc, 3 pages as html",
    "tracked report-103: globex, 40 pages as pdf",
    "tracked report-104: globex, 7 pages as pdf",
    expect.stringMatching(/^4 reports tracked\./),
  ]);
  await job();
  const rows = records(
    await cli(
      directory,
      ["usage", "--config", config, "--json", "--group-by", "format", "--meter", "report_pages"],
      env,
    ),
  );
  expect(rows.map(({ customer, value, events, group }) => ({ customer, value, events, group }))).toEqual([
    { customer: "acme-inc", value: "3", events: 1, group: { format: "html" } },
    { customer: "acme-inc", value: "12", events: 1, group: { format: "pdf" } },
    { customer: "globex", value: "47", events: 2, group: { format: "pdf" } },
  ]);
  expect(records(await cli(directory, ["status", "--config", config, "--json"], env))[0]).toMatchObject({
    events: 4,
    held: 0,
  });
});

it("the chat API's whole chain ends with Stripe's ledger equal to ours, and says each line", async () => {
  const demo = await cli(workspace(null), ["demo", "--once", "--port", "0"]);
  expect(demo.stdout).toMatch(/POST \/chat 200\s+acme-inc\s+chat_tokens \+35/);
  expect(demo.stdout).toMatch(/POST \/chat 429\s+globex\s+chat_tokens not counted: response\.status is 429, wants 200/);
  expect(demo.stdout).toMatch(/POST \/chat 200\s+\(nobody\)\s+held: identifyCompany\(\) gave nothing/);
  expect(demo.stdout).toMatch(/POST \/chat\/stream 200\s+globex\s+held: values\.tokens is missing · client left early/);
  // One report a minute window: the traffic may lie in two of them.
  const sent = [...demo.stdout.matchAll(/→ stripe {2}chat_tokens {2}cus_demo1 {2}\+(\d+) {2}\[200\]/g)];
  expect(sent.reduce((sum, [, value]) => sum + Number(value), 0)).toBe(298);
  expect(demo.stdout).toMatch(/^acme-inc\s+chat_tokens\s+8\s+298\s+298\s+0$/m);
  expect(demo.stdout).toMatch(/^initech\s+chat_tokens\s+3\s+110\s+0\s+110\s+no_customer$/m);
  expect(demo.stdout).toContain("✓ Stripe's ledger equals ours to the digit");
  expect(demo.code).toBe(0);
});
