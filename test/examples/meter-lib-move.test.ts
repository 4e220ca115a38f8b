import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

import { expect, it } from "vitest";

import { cli, records, workspace } from "../cli/cli.ts";
import { served } from "../cli/served.ts";

const run = promisify(execFile);
const example = resolve(import.meta.dirname, "../../examples/meter-lib-move");

it("meter-lib's calls by the client count pages, rules and minutes, and a second run says nothing twice", async () => {
  const directory = workspace(null);
  const env = { METER_DB: join(directory, "meter.db") };
  const config = ["--config", join(example, "meters.yaml")];
  const { url, stop } = await served(directory, config, env);
  const move = async (): Promise<readonly string[]> => {
    const { stdout } = await run(process.execPath, [join(example, "move.js")], {
      env: { ...process.env, METERBOOK_URL: url },
    });
    return stdout.trimEnd().split("\n");
  };
  expect(await move()).toEqual([
    "24 pages: stored",
    "a rule: stored",
    "the same rule again: duplicate",
    "a chat begins: open",
    "it ends: finished, after 90 minutes",
    "who pays for tenant_123: nobody yet; its usage stands under its own name",
  ]);
  // The pages have no id of their own: another run is another 24 pages.
  expect(await move()).toEqual([
    "24 pages: stored",
    "a rule: duplicate",
    "the same rule again: duplicate",
    "a chat begins: duplicate",
    "it ends: duplicate, after 90 minutes",
    "who pays for tenant_123: nobody yet; its usage stands under its own name",
  ]);
  expect(await stop("SIGTERM")).toEqual({ code: 143, signal: null });
  const rows = records(await cli(directory, ["usage", ...config, "--json"], env));
  expect(rows.map(({ meter, customer, value, events }) => ({ meter, customer, value, events }))).toEqual([
    { meter: "chat_on_time_hours", customer: "tenant_123", value: "1.5", events: 1 },
    { meter: "page_processed_basic", customer: "tenant_123", value: "48", events: 2 },
    { meter: "rule_executed_small", customer: "tenant_123", value: "1", events: 1 },
  ]);
}, 120_000);
