import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { promisify } from "node:util";

import { contentOf, visible, type FolderNode } from "./disk.ts";
import { TRACED } from "./replay.ts";
import { parseTrace, type TracedCall } from "./trace.ts";

/** The configuration of the recorded program, and of whoever looks at an image. */
export const POWER_YAML = `version: 1
storage: { path: ./meter.db }
meters:
  tokens: { eventType: done, aggregate: sum, value: values.tokens }
billing:
  stripe:
    apiKey: \${STRIPE_API_KEY}
    mode: test
    report: { window: minute }
`;

export interface Recording {
  /** The folder in which the program ran; it is left as the program left it. */
  readonly directory: string;
  readonly calls: readonly TracedCall[];
}

export interface RecordingOrder {
  readonly durability: "power" | "process";
  readonly steps: number;
  readonly seed: number;
}

const BUILD = resolve(import.meta.dirname, "../../../dist");
/** No write of the program is longer; a longer one would be cut in the trace, and the replay's self-check would tell. */
const TEXT_BYTES_MAX = 1_000_000;

/** Runs program.js once under strace, in a new folder below `parent`. */
export async function record(parent: string, order: RecordingOrder): Promise<Recording> {
  const directory = join(parent, "recorded");
  mkdirSync(directory);
  writeFileSync(join(directory, "meterbook.yaml"), POWER_YAML);
  const log = join(parent, "calls.strace");
  const program = [join(import.meta.dirname, "program.js"), JSON.stringify({ ...order, build: BUILD, directory })];
  await promisify(execFile)(
    "strace",
    [
      "-f",
      "-y",
      "-xx",
      "-qq",
      "-s",
      String(TEXT_BYTES_MAX),
      "-e",
      `trace=${TRACED}`,
      "-o",
      log,
      process.execPath,
      ...program,
    ],
    // Asynchronous file calls must be calls that strace sees.
    { env: { PATH: process.env["PATH"] ?? "", UV_USE_IO_URING: "0" }, maxBuffer: 64 * 1024 * 1024 },
  );
  const calls = parseTrace(readFileSync(log, "latin1"));
  rmSync(log);
  return { directory, calls };
}

/** A folder of the replay as path → bytes: what the program saw at its end. */
export function replayedFiles(folder: FolderNode, path = ""): ReadonlyMap<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const [name, node] of visible(folder)) {
    if (node.kind === "file") files.set(join(path, name), contentOf(node));
    else for (const [inner, bytes] of replayedFiles(node, join(path, name))) files.set(inner, bytes);
  }
  return files;
}

/** The same of the real folder, without what was there before the program. */
export function realFiles(directory: string): ReadonlyMap<string, Buffer> {
  const paths = readdirSync(directory, { recursive: true, encoding: "utf8" }).map((name) => join(directory, name));
  const files = paths.filter((path) => statSync(path).isFile() && !path.endsWith(".yaml") && !path.endsWith("-shm"));
  return new Map(files.map((path) => [relative(directory, path), readFileSync(path)]));
}
