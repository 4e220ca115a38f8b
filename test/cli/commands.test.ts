import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { meter } from "meterbook";
import { describe, expect, it } from "vitest";

import { CHAT_YAML, cli, records, workspace } from "./cli.ts";

describe("init and check", () => {
  it("writes a configuration that passes the check, and never replaces one unasked", async () => {
    const directory = workspace(null);
    const init = await cli(directory, ["init"]);
    expect(init).toMatchObject({ code: 0, stderr: "" });
    expect(init.stdout).toContain('import { meter } from "meterbook";');
    const check = await cli(directory, ["check"]);
    expect(check.stdout).toContain("✓ 1 meter: chat_tokens");
    expect(check.code).toBe(0);
    const before = readFileSync(join(directory, "meterbook.yaml"), "utf8");
    const again = await cli(directory, ["init", "--yes"]);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain("nothing was changed");
    expect(readFileSync(join(directory, "meterbook.yaml"), "utf8")).toBe(before);
  });

  it("shows every mistake with its place and exits with 3", async () => {
    const directory = workspace(CHAT_YAML.replace("aggregate: sum", "aggregate: summ").replace("groupBy:", "groupby:"));
    const check = await cli(directory, ["check"]);
    expect(check.code).toBe(3);
    expect(check.stdout).toMatch(
      /meterbook\.yaml:7:16 {2}meters\.chat_tokens\.aggregate: expected one of .*Did you mean "sum"\?/,
    );
    expect(check.stdout).toMatch(
      /meterbook\.yaml:9:5 {3}unknown key "groupby" in meters\.chat_tokens\. {2}Did you mean "groupBy"\?/,
    );
    expect(check.stdout).toContain("2 problems. Nothing was changed.");
    expect((await cli(directory, ["usage"])).code).toBe(3);
    expect(existsSync(join(directory, "meter.db"))).toBe(false);
    expect(records(await cli(directory, ["check", "--json"]))[0]).toMatchObject({
      ok: false,
      problems: [
        { line: 7, column: 16 },
        { line: 9, column: 5 },
      ],
    });
  });
});

/** A workspace whose app has run once. */
async function startedWorkspace(): Promise<string> {
  const directory = workspace(CHAT_YAML);
  await meter({ config: join(directory, "meterbook.yaml"), report: false }).close();
  return directory;
}

describe("mistakes on the command line", () => {
  it.each([
    [["usgae"], 1, /unknown command 'usgae'[\s\S]*Did you mean usage\?/],
    [["usage", "--windw", "day"], 1, /unknown option '--windw'[\s\S]*Did you mean --window\?/],
    [["usage", "--window", "week"], 1, /'week' is invalid/],
    [["usage", "--from", "yesterday"], 1, /--from is "yesterday"[\s\S]*METER_COMMAND_INVALID/],
    [["usage", "--meter", "chat_token"], 1, /chat_tokens[\s\S]*METER_UNKNOWN_METER/],
    [["explain", "nope"], 1, /METER_EVENT_NOT_FOUND/],
    [["preview", "nope"], 1, /METER_UNKNOWN_METER/],
    [["usage", "--config", "elsewhere.yaml"], 3, /elsewhere\.yaml[\s\S]*METER_CONFIG_NOT_FOUND/],
    [["usage", "--db", "meter.db", "--config", "missing.yaml"], 3, /METER_CONFIG_NOT_FOUND/],
    [["report"], 1, /METER_STRIPE_KEY_MISSING/],
    [["held", "assign", "x"], 1, /--company[\s\S]*run with --help/],
    [["replay", "chat_tokens", "--dry-run"], 1, /--from[\s\S]*run with --help/],
    [["outbox", "frobnicate"], 1, /unknown command 'frobnicate' of outbox[\s\S]*run with --help/],
    [["outbox", "shwo", "3"], 1, /unknown command 'shwo' of outbox[\s\S]*Did you mean show\?/],
    [["held", "asign", "x"], 1, /unknown command 'asign' of held[\s\S]*Did you mean assign\?/],
    [["outbox", "--state", "ded"], 1, /Did you mean "dead"\?/],
    [["usage", "--from", "2h", "--to", "3h"], 1, /--to 3h is not after --from 2h[\s\S]*METER_COMMAND_INVALID/],
    [["correct"], 1, /no command was named[\s\S]*METER_COMMAND_INVALID/],
    [["demo", "--db", "meter.db"], 1, /unknown option '--db'/],
    [["check", "--db", "meter.db"], 1, /unknown option '--db'/],
    [["outbox", "--meter", "chat_token"], 1, /no meter "chat_token"[\s\S]*METER_UNKNOWN_METER/],
    [["stripe-local", "--db", "meter.db"], 1, /unknown option '--db'/],
  ])("%j ends with %i and says why", async (args, code, text) => {
    const result = await cli(await startedWorkspace(), args);
    expect(result.stderr).toMatch(text);
    expect(result.code).toBe(code);
  });

  it.each([
    ["usage", "--windw", "day", "--json"],
    ["usgae", "--json"],
    ["held", "assign", "x", "--json"],
    ["outbox", "shwo", "--json"],
    ["correct", "void", "--json"],
  ])("gives mistakes of the words themselves as JSON too: %s %s", async (...args) => {
    const result = await cli(workspace(CHAT_YAML), args);
    expect(JSON.parse(result.stderr)).toMatchObject({
      code: "METER_COMMAND_INVALID",
      message: expect.stringMatching(/^[^\n]+$/),
      remedy: expect.stringContaining("--help"),
    });
    expect(result.code).toBe(1);
  });

  it.each([
    [["init", "--meter", "Bad Name"], 1, /nothing was written[\s\S]*Bad Name/],
    [["init", "--value", "request.heders.x"], 1, /nothing was written[\s\S]*headers/],
    [["init", "--config", "none/meterbook.yaml"], 1, /cannot be written: ENOENT[\s\S]*METER_COMMAND_INVALID/],
    [["check"], 3, /METER_CONFIG_NOT_FOUND/],
    [["demo", "--port", "abc"], 1, /--port is "abc"/],
    [["usage", "--config", "x.toml"], 3, /METER_CONFIG/],
  ])("in an empty folder %j ends with %i and writes nothing", async (args, code, text) => {
    const directory = workspace(null);
    const result = await cli(directory, args);
    expect(result.stderr).toMatch(text);
    expect(result.code).toBe(code);
    expect(readdirSync(directory)).toEqual([]);
  });

  it("takes a misspelt database path for a mistake, not for no usage", async () => {
    const directory = workspace(CHAT_YAML);
    const result = await cli(directory, ["usage", "--db", "typo/meter.db"]);
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toContain("METER_STORE_UNREADABLE");
    expect(existsSync(join(directory, "typo"))).toBe(false);
  });

  it("gives the error as JSON with --json", async () => {
    const result = await cli(await startedWorkspace(), ["explain", "nope", "--json"]);
    expect(JSON.parse(result.stderr)).toMatchObject({ code: "METER_EVENT_NOT_FOUND" });
    expect(result.stdout).toBe("");
  });

  it("names each command with an example in its help", async () => {
    const help = await cli(workspace(null), ["--help"]);
    const commands = [...help.stdout.matchAll(/^ {2}([a-z-]+) /gm)]
      .map((match) => match[1])
      .filter((name) => name !== "help");
    expect(commands).toEqual([
      "init",
      "demo",
      "stripe-local",
      "dev",
      "serve",
      "keys",
      "check",
      "preview",
      "explain",
      "usage",
      "events",
      "held",
      "provision",
      "records",
      "purge",
      "status",
      "report",
      "reconcile",
      "outbox",
      "correct",
      "replay",
      "compare",
      "verify",
      "rebuild",
      "export",
      "backup",
      "doctor",
    ]);
    for (const command of commands.filter((name) => name !== "held")) {
      expect((await cli(workspace(null), [String(command), "--help"])).stdout).toContain("Example: meterbook");
    }
  });

  it("refuses a database that is none, and loses nothing", async () => {
    const directory = workspace(CHAT_YAML);
    writeFileSync(join(directory, "meter.db"), "this is a text file, long enough to be looked at as one\n".repeat(50));
    const result = await cli(directory, ["usage"]);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("METER_STORE_UNREADABLE");
    expect(readFileSync(join(directory, "meter.db"), "utf8")).toContain("this is a text file");
  });
});

it("takes nothing in without the meters: a database named without its configuration is refused", async () => {
  const elsewhere = workspace(null);
  const result = await cli(elsewhere, ["status", "--db", join(elsewhere, "meter.db")]);
  expect(result.code).toBe(3);
  expect(result.stderr).toContain("METER_CONFIG_NOT_FOUND");
  expect((await cli(elsewhere, ["doctor", "--db", join(elsewhere, "meter.db")])).code).toBe(1);
  expect(existsSync(join(elsewhere, "meter.db"))).toBe(false);
});
