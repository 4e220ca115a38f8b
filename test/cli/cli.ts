import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { onTestFinished } from "vitest";

const MAIN = resolve(import.meta.dirname, "../../dist/cli/main.js");

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built command as a user would, without a terminal; a shell's `limit` holds for it. */
export function cli(
  directory: string,
  args: readonly string[],
  env: Record<string, string> = {},
  limit: string | null = null,
): Promise<CliResult> {
  return new Promise((done, reject) => {
    const command = [process.execPath, MAIN, ...args];
    const limited = limit === null ? command : ["sh", "-c", `${limit}\nexec "$0" "$@"`, ...command];
    const child = spawn(limited[0] ?? "", limited.slice(1), {
      cwd: directory,
      env: { PATH: process.env["PATH"] ?? "", HOME: directory, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => done({ code, stdout, stderr }));
  });
}

/** Each line of --json output, parsed. */
export function records(result: CliResult): Record<string, unknown>[] {
  return result.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** A temporary folder with a configuration; removed after the test. */
export function workspace(yaml: string | null): string {
  const directory = mkdtempSync(join(tmpdir(), "meterbook-cli-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  if (yaml !== null) writeFileSync(join(directory, "meterbook.yaml"), yaml);
  return directory;
}

export const CHAT_YAML = `version: 1
storage: { path: ./meter.db }
meters:
  chat_tokens:
    unit: token
    match: { request.route: /chat, response.status: 200 }
    aggregate: sum
    value: response.headers.X-Tokens-Used
    groupBy: { model: metadata.model }
  exports:
    eventType: export_done
    aggregate: count
billing:
  stripe:
    apiKey: \${STRIPE_API_KEY}
    apiBase: \${STRIPE_API_BASE:-http://127.0.0.1:9}
    mode: test
    map: { company_id: customer.metadata.company_id }
    noSubscription: send
`;
