import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";

import { expect, it, onTestFinished } from "vitest";

import { CHAT_YAML, workspace } from "./cli.ts";

const MAIN = resolve(import.meta.dirname, "../../dist/cli/main.js");

interface Running {
  readonly child: ChildProcess;
  readonly text: () => string;
  /** Resolves once the output has it; rejects when the command ends before. */
  readonly seen: (pattern: RegExp) => Promise<void>;
}

/** A long command in a folder of its own, its temporary files below `tmp` there. */
function start(directory: string, args: readonly string[]): Running {
  const temporary = join(directory, "tmp");
  mkdirSync(temporary, { recursive: true });
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: directory,
    env: { PATH: process.env["PATH"] ?? "", HOME: directory, TMPDIR: temporary },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let text = "";
  const seen = (pattern: RegExp): Promise<void> =>
    new Promise((done, reject) => {
      const look = (): void => (pattern.test(text) ? done() : undefined);
      for (const stream of [child.stdout, child.stderr]) stream?.on("data", () => setImmediate(look));
      child.once("close", () => reject(new Error(`ended before ${String(pattern)}: ${text}`)));
      look();
    });
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return { child, text: () => text, seen };
}

async function exitAfter({ child }: Running, signal: NodeJS.Signals): Promise<unknown> {
  const ended = once(child, "close");
  child.kill(signal);
  return (await ended)[0];
}

it.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)(
  "the demo compares the books at %s, leaves no file behind and ends with %i",
  async (signal, code) => {
    const directory = workspace(null);
    const demo = start(directory, ["demo", "--port", "0"]);
    await demo.seen(/chat_tokens \+\d/);
    expect(await exitAfter(demo, signal)).toBe(code);
    expect(demo.text()).toContain("Stripe's ledger equals ours to the digit");
    expect(readdirSync(join(directory, "tmp"))).toEqual([]);
  },
  120_000,
);

it.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)(
  "the local Stripe tells its ledger at %s and ends with %i",
  async (signal, code) => {
    const local = start(workspace(null), ["stripe-local", "--port", "0"]);
    await local.seen(/Ledger/);
    expect(await exitAfter(local, signal)).toBe(code);
    expect(local.text()).toMatch(/Nothing was counted\.\n$/);
  },
  60_000,
);

it.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)(
  "dev passes %s on to the app, and ends with %i when the app dies of it",
  async (signal, code) => {
    const app = "setInterval(() => undefined, 1000); console.log('app is up');";
    const dev = start(workspace(CHAT_YAML), ["dev", "--", process.execPath, "-e", app]);
    await dev.seen(/app is up/);
    expect(await exitAfter(dev, signal)).toBe(code);
  },
  60_000,
);
