import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
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

it("botbot provisions, meters, tells and purges, and every count is as the tutorial's", async () => {
  const folder = workspace(null);
  const { stdout } = await run(process.execPath, [join(examples, "botbot/walk-through.js"), folder]);
  expect(stdout.trim().split("\n")).toEqual([
    "provisioned: 6 meter types, 12 meters",
    "provisioned again: 0 changes",
    "records: 100, duplicates: 10, suspended: 7",
    "metered: 83",
    "golden records: 12, handed over: 12",
    "Android Sheep  L1_Gemini_Pro  110 API requests of 7 sessions  (AMER 37, APAC 8, EMEA 65)",
    "Android Sheep  L2_GPT4o  139 API requests of 7 sessions  (AMER 55, APAC 46, EMEA 38)",
    "Cloud AI  L1_Claude3_Sonnet  197 API requests of 9 sessions  (AMER 77, APAC 81, EMEA 39)",
    "Cloud AI  L2_Claude3_Opus  111 API requests of 4 sessions  (AMER 36, APAC 36, EMEA 39)",
    "FinTech Lords  L1_Llama3  96 API requests of 4 sessions  (AMER 19, APAC 74, EMEA 3)",
    "FinTech Lords  L2_GPT4o  217 API requests of 10 sessions  (AMER 103, APAC 106, EMEA 8)",
    "Machine Emotions  L1_Claude3_Sonnet  262 API requests of 10 sessions  (AMER 17, APAC 69, EMEA 176)",
    "Machine Emotions  L2_Claude3_Opus  102 API requests of 4 sessions  (APAC 102)",
    "Metaverse Mages  L1_Llama3  211 API requests of 8 sessions  (AMER 136, APAC 20, EMEA 55)",
    "Metaverse Mages  L2_Gemini_Flash  108 API requests of 6 sessions  (AMER 5, APAC 58, EMEA 45)",
    "Play-to-Earn  L1_Gemini_Pro  213 API requests of 9 sessions  (AMER 43, APAC 95, EMEA 75)",
    "Play-to-Earn  L2_Gemini_Flash  86 API requests of 5 sessions  (AMER 72, APAC 14)",
    "in all: 1852 API requests",
    "purged: 12 meters",
    "kept: 12 golden records",
    "verify: all sums match",
  ]);
  // The same figures by a way of their own: plain sums over what was sent.
  const sessions: { sessionId: string; company: string; region: string; apiCallsType: string; apiCalls: number }[] =
    readFileSync(join(folder, "sessions.ndjson"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  const good = new Map(
    sessions.filter(({ region }) => region !== "unknown").map((session) => [session.sessionId, session]),
  );
  const sums = new Map<string, number>();
  for (const { company, apiCallsType, apiCalls } of good.values()) {
    const key = `${company} ${apiCallsType}_API_Requests`;
    sums.set(key, (sums.get(key) ?? 0) + apiCalls);
  }
  const golden: { userId: string; category: string; value: string }[] = readFileSync(
    join(folder, "golden-records.ndjson"),
    "utf8",
  )
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(new Map(golden.map(({ userId, category, value }) => [`${userId} ${category}`, Number(value)]))).toEqual(sums);
}, 120_000);
