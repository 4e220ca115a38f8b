import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

import { replayLine, type SeedEnd } from "./seed.ts";

const PROJECT = resolve(import.meta.dirname, "../..");
/** Seeds of one process: the driver keeps its statements until the process ends, so that none may live for long. */
const SEEDS_OF_A_PROCESS = 250;
/** What a seed makes is garbage soon: a wide nursery lets most of it die there. */
const FLAGS = ["--max-semi-space-size=32"];

/** Which seeds to run. */
export interface SeedSpan {
  readonly first: number;
  readonly count: number;
}

/** Runs seeds in processes of their own, one for each core; `onEnd` hears of each seed, and what it throws ends the run. */
export async function playSeeds({ first, count }: SeedSpan, onEnd: (end: SeedEnd) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "meterbook-seeds-"));
  const over = new AbortController();
  try {
    const program = buildProgram(folder);
    const lanes = Math.min(availableParallelism(), count);
    const size = Math.min(SEEDS_OF_A_PROCESS, Math.ceil(count / lanes));
    let next = first;
    const lane = async (): Promise<void> => {
      while (next < first + count && !over.signal.aborted) {
        const span = { first: next, count: Math.min(size, first + count - next) };
        next += size;
        await playSpan(program, span, over.signal, onEnd);
      }
    };
    const running = Array.from({ length: lanes }, () =>
      lane().catch((error: unknown) => {
        over.abort();
        throw error;
      }),
    );
    const failed = (await Promise.allSettled(running)).find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One process; it ends with its span, or when the run is over. */
async function playSpan(
  program: string,
  { first, count }: SeedSpan,
  over: AbortSignal,
  onEnd: (end: SeedEnd) => void,
): Promise<void> {
  const child = spawn(process.execPath, [...FLAGS, program, String(first), String(count)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const gone = once(child, "close");
  const end = (): void => void child.kill("SIGKILL");
  over.addEventListener("abort", end);
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaint = `${complaint}${text}`.slice(-4_000)));
  let next = first;
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const seedEnd: SeedEnd = JSON.parse(line);
      next = seedEnd.seed + 1;
      onEnd(seedEnd);
    }
    const [code, signal]: (number | string | null)[] = await gone;
    if (over.aborted || (code === 0 && next === first + count)) return;
    throw new Error(`the process ended (${code ?? signal}) in this seed: ${replayLine(next)}\n${complaint}`);
  } finally {
    over.removeEventListener("abort", end);
    end();
    await gone;
  }
}

/** The simulation and all that it runs, as plain JavaScript: a test runner's own loading costs time at every call. */
function buildProgram(folder: string): string {
  symlinkSync(join(PROJECT, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const compilerOptions = {
    rootDir: PROJECT,
    outDir: folder,
    noCheck: true,
    declaration: false,
    declarationMap: false,
    sourceMap: false,
  };
  const files = [join(import.meta.dirname, "seeds-program.ts")];
  const settings = { extends: join(PROJECT, "tsconfig.json"), compilerOptions, files, include: [] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(settings));
  const compiler = join(PROJECT, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [compiler, "-p", folder], { encoding: "utf8" });
  return join(folder, "test/simulation/seeds-program.js");
}
