import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { onTestFinished } from "vitest";

import { ended } from "./place.ts";

const MAIN = resolve(import.meta.dirname, "../../dist/cli/main.js");

/** What `meterbook serve` counts in the fault tests: the one meter over everything that is sent. */
export const SERVED_YAML = `version: 1
storage: { path: ./meter.db }
meters:
  chat_tokens: { aggregate: sum, value: data.total_usage, unit: seconds }
`;

/** A service in its own process. */
export interface ServedProgram {
  readonly child: ChildProcess;
  /** Resolves with its address once it listens; rejects when the process ended before. */
  readonly url: Promise<string>;
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>;
  /** Lines of its log that are worse than an answered call. */
  readonly complaints: readonly string[];
  /** Resolves once a line of its log fits; rejects when the process ended before. */
  said(pattern: RegExp): Promise<void>;
}

/** Writes `meterbook.yaml`. */
export function writeServed(folder: string, yaml: string = SERVED_YAML): void {
  writeFileSync(join(folder, "meterbook.yaml"), yaml);
}

/** Starts `meterbook serve` over a folder at a free port; killed at the latest when the test is over. */
export function startServed(folder: string): ServedProgram {
  const child = spawn(process.execPath, [MAIN, "serve", "--port", "0"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => ended(child));
  const complaints: string[] = [];
  const watchers = new Set<(line: string) => void>();
  const gone = once(child, "close").then(() => undefined);
  for (const stream of [child.stdout, child.stderr]) {
    let rest = "";
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = `${rest}${chunk}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (!/"level":"?(info|debug|30|20)\b/.test(line)) complaints.push(line);
        for (const watcher of watchers) watcher(line);
      }
    });
  }
  const found = (pattern: RegExp): Promise<string> =>
    new Promise((done, reject) => {
      const look = (line: string): void => {
        const [text] = pattern.exec(line) ?? [];
        if (text === undefined) return;
        watchers.delete(look);
        done(text);
      };
      watchers.add(look);
      void gone.then(() => reject(new Error(`the service ended before it said ${String(pattern)}`)));
    });
  const url = found(/http:\/\/127\.0\.0\.1:\d+/);
  // A test that kills a service before it listens does not wait for its address.
  url.catch(() => undefined);
  return { child, url, gone, complaints, said: (pattern) => found(pattern).then(() => undefined) };
}
