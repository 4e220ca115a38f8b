import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

import { emptyFolder } from "./place.ts";

const LOOK_MS = 20;
const LOOKS_MAX = 500;

/** A call of the operating system that fails: with what, and the how-manieth one of a thread (strace's `when`). */
export interface FailingCall {
  readonly call: string;
  readonly error: "EIO" | "ENOSPC" | "EMFILE" | "EACCES";
  /** `3` the third alone, `3+` the third and all after it. */
  readonly when: string;
}

/** Faults in force on a living process. */
export interface AttachedFaults {
  /** Whether each of the failing calls was struck at least once. */
  allStruck(): boolean;
  /** Resolves once each failing call was struck; throws when one is not for some seconds. */
  untilStruck(): Promise<void>;
  /** Ends the faults; answers how many calls they struck. */
  detach(): Promise<number>;
}

/** Makes calls of a living process fail, those on these paths alone. Resolves once all its threads are caught. */
export async function attachFaults(
  pid: number,
  failing: readonly FailingCall[],
  paths: readonly string[],
): Promise<AttachedFaults> {
  const log = join(emptyFolder(), "strace.log");
  const calls = failing.map(({ call }) => call).join(",");
  const injections = failing.flatMap(({ call, error, when }) => ["-e", `inject=${call}:error=${error}:when=${when}`]);
  const paired = paths.flatMap((path) => ["-P", path]);
  const args = ["-f", "-p", String(pid), "-o", log, "-e", `trace=${calls}`, ...paired, ...injections];
  const strace = spawn("strace", args, { stdio: ["ignore", "ignore", "pipe"] });
  const gone = once(strace, "exit");
  let said = "";
  await new Promise<void>((resolve, reject) => {
    strace.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString("latin1");
      if (/Process \d+ attached/.test(said)) resolve();
    });
    void gone.then(() => reject(new Error(`strace ended: ${said}`)));
  });
  const struck = (): readonly string[] =>
    readFileSync(log, "latin1")
      .split("\n")
      .filter((line) => line.endsWith("(INJECTED)"));
  const allStruck = (): boolean =>
    failing.every(({ call }) => struck().some((line) => line.includes(`${call}(`) || line.includes(`${call} resumed`)));
  return {
    allStruck,
    async untilStruck() {
      for (let looks = 0; !allStruck(); looks++) {
        if (looks === LOOKS_MAX) throw new Error(`no ${calls} on ${paths.join(", ")} was struck`);
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
    },
    async detach() {
      strace.kill("SIGINT");
      await gone;
      const found = struck().length;
      rmSync(log);
      return found;
    },
  };
}

/** The folder in which a process writes its journal. */
export function journalFolder(folder: string, pid: number): string {
  const root = join(folder, "meter.db-journals");
  const own = readdirSync(root).find((name) => {
    const record = join(root, name, "writer.json");
    if (!existsSync(record)) return false;
    const { pid: writer } = JSON.parse(readFileSync(record, "utf8")) as { pid: number };
    return writer === pid;
  });
  if (own === undefined) throw new Error(`process ${pid} has no journal in ${root}`);
  return join(root, own);
}

/** The segment that is written to, and the draft that will become the next one. */
export function activeSegment(folder: string): {
  readonly path: string;
  readonly draft: string;
  readonly next: string;
} {
  const name = readdirSync(folder)
    .filter((file) => file.endsWith(".journal"))
    .toSorted()
    .at(-1);
  if (name === undefined) throw new Error(`there is no segment in ${folder}`);
  const next = join(
    folder,
    name.replace(/^\d+/, (digits) => String(Number(digits) + 1).padStart(digits.length, "0")),
  );
  return { path: join(folder, name), draft: `${next}.new`, next };
}
