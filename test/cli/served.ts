import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";

import { onTestFinished } from "vitest";

const MAIN = resolve(import.meta.dirname, "../../dist/cli/main.js");

export interface Served {
  readonly child: ChildProcess;
  readonly url: string;
  /** Everything that it said so far. */
  readonly text: () => string;
  /** Resolves once what it said has it; rejects when it ends before. */
  readonly seen: (pattern: RegExp) => Promise<void>;
  /** Sends a signal and waits for the end. */
  readonly stop: (signal: NodeJS.Signals) => Promise<{ readonly code: number | null; readonly signal: string | null }>;
}

/** `meterbook serve` at a free port, listening. */
export async function served(
  directory: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
  limit = "",
): Promise<Served> {
  // What the shell limits holds for the service, which takes the shell's place.
  const shell = ["-c", `${limit}\nexec "$0" "$@"`, process.execPath, MAIN];
  const child = spawn("sh", [...shell, "serve", "--port", "0", ...args], {
    cwd: directory,
    env: { PATH: process.env["PATH"] ?? "", HOME: directory, STRIPE_API_KEY: "sk_test_served", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let text = "";
  const seen = (pattern: RegExp): Promise<void> =>
    new Promise((done, reject) => {
      const look = (): void => (pattern.test(text) ? done() : undefined);
      for (const stream of [child.stdout, child.stderr]) stream.on("data", () => setImmediate(look));
      child.once("close", () => reject(new Error(`ended before ${String(pattern)}: ${text}`)));
      look();
    });
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await seen(/Listening at http:\/\/[^\s"]+/);
  const url = /Listening at (http:\/\/[^\s"]+)/.exec(text)?.[1] ?? "";
  const stop = async (signal: NodeJS.Signals) => {
    const ended = once(child, "close");
    child.kill(signal);
    const [code, by]: (number | string | null)[] = await ended;
    return { code: typeof code === "number" ? code : null, signal: typeof by === "string" ? by : null };
  };
  return { child, url, text: () => text, seen, stop };
}

/** One event as CloudEvents has it. */
export function cloudEvent(id: string, data: object = {}): object {
  return { specversion: "1.0", id, source: "test", type: "agent_run", subject: "acme", data };
}

/** Sends events in one call; the status, or null when the connection was lost. */
export async function send(
  url: string,
  events: readonly object[],
  headers: Record<string, string> = {},
): Promise<number | null> {
  try {
    const answer = await fetch(`${url}/v1/events`, {
      method: "POST",
      headers: { "content-type": "application/cloudevents-batch+json", ...headers },
      body: JSON.stringify(events),
    });
    await answer.arrayBuffer();
    return answer.status;
  } catch {
    return null;
  }
}
