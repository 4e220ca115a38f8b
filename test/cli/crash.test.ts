import { join } from "node:path";

import SqliteDatabase from "better-sqlite3";
import { expect, it } from "vitest";

import { billedApp, job, type BilledApp } from "./billed-app.ts";
import { cli, type CliResult } from "./cli.ts";

/** A database in which a fact that only meterbook writes is no JSON any more: code that relies on it crashes. */
async function broken(): Promise<BilledApp> {
  const app = await billedApp();
  await app.work(job("a", "1"));
  const database = new SqliteDatabase(join(app.directory, "meter.db"));
  database.prepare("INSERT INTO notes VALUES ('report.modes', '{broken')").run();
  database.close();
  return app;
}

const CRASH = ["report", "--dry-run"];

function crash({ directory, stripe }: BilledApp, args: readonly string[], debug: string): Promise<CliResult> {
  const env = { STRIPE_API_KEY: "sk_test_x", STRIPE_API_BASE: stripe.url, DEBUG: debug };
  return cli(directory, [...CRASH, ...args], env);
}

it("tells a crash under --json as one JSON object like every other error, its stack only to who debugs", async () => {
  const app = await broken();
  const told = await crash(app, ["--json"], "");
  expect(told.code).toBe(1);
  expect(told.stderr.trim().split("\n")).toHaveLength(1);
  expect(JSON.parse(told.stderr)).toEqual({
    code: "METER_COMMAND_FAILED",
    message: expect.stringMatching(/^Something unexpected failed: .*JSON/),
    remedy: expect.stringContaining("DEBUG=1"),
    help: expect.stringContaining("#meter_command_failed"),
  });
  const debugged = await crash(app, ["--json"], "1");
  expect(JSON.parse(debugged.stderr)).toMatchObject({
    code: "METER_COMMAND_FAILED",
    stack: expect.stringMatching(/\n {4}at /),
  });
}, 60_000);

it("tells a crash to a person with its stack, its code and what to do", async () => {
  const told = await crash(await broken(), [], "");
  expect(told.code).toBe(1);
  expect(told.stderr).toMatch(
    /^Something unexpected failed: [\s\S]*\n {4}at [\s\S]*DEBUG=1[\s\S]*METER_COMMAND_FAILED/,
  );
}, 60_000);
