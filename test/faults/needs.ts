import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { TestContext } from "vitest";

/**
 * What a fault test may need of the machine. `strace-attach` is the right to trace a process that lives already, `mount` to
 * mount a tmpfs.
 */
export type Need = "strace" | "strace-attach" | "libfaketime" | "mount";

const REMEDY: Readonly<Record<Need, string>> = {
  strace: "strace (apt-get install strace)",
  "strace-attach": "strace (apt-get install strace) as root, or with kernel.yama.ptrace_scope = 0",
  libfaketime: "libfaketime (apt-get install libfaketime)",
  mount: "root on Linux, with the right to mount a tmpfs",
};

/** Skips the test, saying what it needs, where that is missing; under CI a missing tool is a failure instead. */
export function needs(context: TestContext, ...wanted: readonly Need[]): void {
  const missing = wanted.filter((need) => !IS_THERE[need]());
  if (missing.length === 0) return;
  const sentence = `skipped, needs ${missing.map((need) => REMEDY[need]).join(" and ")}`;
  if (process.env["CI"] !== undefined && process.env["CI"] !== "") throw new Error(sentence);
  context.skip(sentence);
}

/** Path of the library that libfaketime preloads into threaded programs; null when it is not installed. */
export function faketimeLibrary(): string | null {
  const roots = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].filter((root) => existsSync(root));
  const folders = roots.flatMap((root) => [root, ...readdirSync(root).map((name) => join(root, name))]);
  const paths = folders.map((folder) => join(folder, "faketime", "libfaketimeMT.so.1"));
  return paths.find((path) => existsSync(path)) ?? null;
}

const IS_THERE: Readonly<Record<Need, () => boolean>> = {
  // Installed is not enough: a container may forbid tracing.
  strace: tracesPrograms,
  "strace-attach": () => tracesPrograms() && mayAttach(),
  libfaketime: () => faketimeLibrary() !== null,
  mount: canMount,
};

function tracesPrograms(): boolean {
  return runs("strace", ["-o", "/dev/null", "true"]);
}

function mayAttach(): boolean {
  const scope = "/proc/sys/kernel/yama/ptrace_scope";
  return process.getuid?.() === 0 || !existsSync(scope) || readFileSync(scope, "latin1").trim() === "0";
}

function canMount(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  const folder = mkdtempSync(join(tmpdir(), "meterbook-mount-"));
  try {
    return runs("mount", ["-t", "tmpfs", "-o", "size=64k", "meterbook-test", folder]) && runs("umount", [folder]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runs(program: string, args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
