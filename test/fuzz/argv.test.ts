import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

import type { Command } from "commander";
import * as fc from "fast-check";
import { expect, it, onTestFinished, vi } from "vitest";

import { isJsonWanted } from "../../src/cli/failure.ts";
import { program, runCommand } from "../../src/cli/program.ts";
import { billedApp, job, JOBS_YAML, type BilledApp } from "../cli/billed-app.ts";
import { fuzzed } from "./hostile-input.ts";

/** No command line may work longer, whatever it says: CPU time, since other programs share the machine. */
const CPU_MS_MAX = 5_000;
/** Nor may one wait longer: nothing that these commands wait for takes a second. */
const WAIT_MS_MAX = 60_000;

/** Commands that run until they are stopped, or run another program: their words are parsed, and nothing is done. */
const LONG: readonly string[] = ["demo", "dev", "serve", "stripe-local"];
const HELP: readonly string[] = ["--help", "-h", "help", "--version", "-V"];

interface Spoken {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The real program in this process, its output caught. */
async function spoken(args: readonly string[]): Promise<Spoken> {
  const root = program(args);
  for (const command of root.commands) if (LONG.includes(command.name())) command.action(() => undefined);
  const said = { stdout: "", stderr: "" };
  const catching = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((chunk) => {
      said[name] += String(chunk);
      return true;
    }),
  );
  const before = process.exitCode;
  process.exitCode = 0;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_done, reject) => {
    timer = setTimeout(() => reject(new Error(`hangs: ${JSON.stringify(args)}`)), WAIT_MS_MAX);
  });
  try {
    await Promise.race([runCommand(args, root), late]);
    return { code: process.exitCode, ...said };
  } finally {
    clearTimeout(timer);
    process.exitCode = before;
    for (const each of catching) each.mockRestore();
  }
}

function leaves(command: Command): readonly Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

function pathOf(command: Command): readonly string[] {
  return command.parent === null ? [] : [...pathOf(command.parent), command.name()];
}

const root = program([]);
const PATHS = leaves(root).map(pathOf);
const FLAGS = [...new Set(leaves(root).flatMap(({ options }) => options.flatMap(({ long, short }) => [long, short])))]
  .filter((flag) => typeof flag === "string")
  .concat(HELP, "--");
const VALUES = "job_tokens jobs acme globex a b nothing 1 2 99 0 -1 1e9 24h 9999999999d 2026-11-01 2026-11-01T00:00:00Z"
  .concat(" 2026-99-99 all accepted dead hour delivered resend write-off carry ann company=x values.tokens=3 values[=1")
  .concat(" meter.db meterbook.yaml none.yaml theirs.csv __proto__ constructor $.a node")
  .split(" ");

/** Nothing that leaves the folder, and not `-`, which waits for a person at the keyboard. */
const isHarmless = (word: string): boolean => !/[/\\]|\.\./.test(word) && word !== "-";
const noise = fc.string({ unit: "binary", maxLength: 12 }).filter(isHarmless);
const known = fc.constantFrom(...FLAGS, ...VALUES, ...PATHS.flat());
const misspelt = fc.tuple(known, fc.nat(20)).map(([word, at]) => word.slice(0, at) + word.slice(at + 1));
const word = fc.oneof(
  { weight: 6, arbitrary: known },
  { weight: 1, arbitrary: misspelt.filter(isHarmless) },
  { weight: 1, arbitrary: noise },
);
/** An option that the command has, with a value where it takes one. */
function optionOf(command: Command): fc.Arbitrary<readonly string[]> {
  const given = command.options.map(({ long, required }) => {
    const flag = fc.constant(long ?? "");
    return required ? fc.tuple(flag, word) : fc.tuple(flag);
  });
  return fc.oneof(...given);
}

/** A command with arguments and options that are mostly its own. */
const commandLine = fc
  .constantFrom(...leaves(root))
  .chain((command) => {
    const part = fc.oneof(
      { weight: 6, arbitrary: optionOf(command) },
      { weight: 2, arbitrary: word.map((each) => [each]) },
    );
    const words = command.registeredArguments.map(() => word);
    return fc.tuple(fc.constant(pathOf(command)), fc.tuple(...words), fc.array(part, { maxLength: 4 }));
  })
  .map(([path, words, parts]) => [...path, ...words, ...parts.flat()]);

async function appHere(): Promise<BilledApp> {
  const app = await billedApp();
  await app.work(job("a", "120"), job("b", null), job("c", "7", { companyId: "stranger" }));
  const home = process.cwd();
  process.chdir(app.directory);
  onTestFinished(() => process.chdir(home));
  return app;
}

function assertJson(text: string): void {
  for (const line of text.split("\n").filter((each) => each !== "")) JSON.parse(line);
}

it("whatever the command line says, it is answered in time, with a code and a sentence, and never with a stack", async () => {
  const { directory } = await appHere();
  writeFileSync(join(directory, "theirs.csv"), "company,meter,from,to,value\nacme,jobs,2026-11-01,2026-11-02,1\n");
  const codes = new Map<number, number>();
  const property = fc.asyncProperty(commandLine, async (args) => {
    // `init --force` may have put another one there.
    writeFileSync(join(directory, "meterbook.yaml"), JOBS_YAML);
    const before = process.cpuUsage();
    const { code, stdout, stderr } = await spoken(args);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1_000).toBeLessThan(CPU_MS_MAX);
    codes.set(code, (codes.get(code) ?? 0) + 1);
    expect([0, 1, 3]).toContain(code);
    expect(`${stdout}${stderr}`).not.toMatch(/\n {4}at |METER_COMMAND_FAILED|\[object Object\]/);
    // What differs is a result; what failed has a code.
    const isToldWhy = code === 0 || stdout !== "" || /\S[\s\S]*METER_[A-Z_]+/.test(stderr);
    expect([isToldWhy, stderr]).toEqual([true, stderr]);
    if (isJsonWanted(args)) assertJson(stderr);
    if (isJsonWanted(args) && !args.some((each) => HELP.includes(each))) assertJson(stdout);
  });
  await fc.assert(property, fuzzed(300));
  // Half of them do something, and half are mistakes: neither alone would say much.
  expect([...codes.keys()]).toEqual(expect.arrayContaining([0, 1]));
  expect(readdirSync(directory)).toContain("meter.db");
}, 300_000);

it("every misspelt command is answered with the one that was meant", async () => {
  for (const path of PATHS) {
    const name = path.at(-1) ?? "";
    const typo = `${name.slice(0, -2)}${name.at(-1)}${name.at(-2)}`;
    const { code, stderr } = await spoken([...path.slice(0, -1), typo]);
    expect([path, code, stderr]).toEqual([path, 1, expect.stringMatching(/Did you mean [\s\S]*METER_COMMAND_INVALID/)]);
  }
});

it("every misspelt option is answered with the one that was meant", async () => {
  for (const command of leaves(root)) {
    // A required option that is misspelt is told as missing, by its name.
    if (command.options.some(({ mandatory }) => mandatory)) continue;
    for (const { long } of command.options) {
      if (typeof long !== "string" || long.length < 6) continue;
      const { code, stderr } = await spoken([...pathOf(command), long.slice(0, -1), "x"]);
      expect([long, code, stderr]).toEqual([long, 1, expect.stringContaining("Did you mean")]);
      expect(stderr).toContain(long);
    }
  }
});
