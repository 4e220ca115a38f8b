import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, it } from "vitest";

import type { Drain } from "../../src/journal/drain.ts";
import { drainAll, place } from "./harness.ts";
import { journalModule, writerProgram } from "./program.ts";

const ROUNDS = 24;

/** Starts a writer, kills it with -9 once it has printed so many ids, and answers all that it printed whole. */
async function killAfter(root: string, printed: number, meanwhile: () => void): Promise<string[]> {
  const plan = JSON.stringify({ count: 1e9, bounds: { segmentBytesMax: 40_000 } });
  const child = spawn(process.execPath, [writerProgram, journalModule, root, plan], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  let lines = 0;
  child.stdout.setEncoding("latin1");
  child.stdout.on("data", (chunk: string) => {
    text += chunk;
    lines += chunk.split("\n").length - 1;
    meanwhile();
    if (lines >= printed) child.kill("SIGKILL");
  });
  await new Promise((resolve) => child.once("close", resolve));
  expect(child.signalCode).toBe("SIGKILL");
  return text.split("\n").slice(0, -1);
}

it("kill -9 at any moment: every id that was printed is drained exactly once", async () => {
  expect(existsSync(journalModule), "run `npm run build` first").toBe(true);
  const here = place();
  const drain: Drain = here.drain();
  const times = new Map<string, number>();
  const take = (): void => {
    for (const { id } of drain.next(500).events) times.set(id, (times.get(id) ?? 0) + 1);
    drain.commit();
  };
  let acknowledged = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const printed = await killAfter(here.root, 1 + ((round * 397) % 3_000), round % 2 === 0 ? take : () => undefined);
    for (const { id } of drainAll(drain).events) times.set(id, (times.get(id) ?? 0) + 1);
    expect(printed.filter((id) => times.get(id) !== 1)).toEqual([]);
    acknowledged += printed.length;
    // Dead at once, by its pid: nothing of it stays but, at most, the line that the kernel was writing when the signal came.
    expect(here.names().filter((name) => name !== "quarantine")).toEqual([]);
  }
  expect([...times.values()].every((count) => count === 1)).toBe(true);
  // At most one line a round was written down but not yet printed when the signal came.
  expect(times.size - acknowledged).toBeLessThanOrEqual(ROUNDS);
  expect(acknowledged).toBeGreaterThan(1_000);
  // What is set aside is at most the unfinished line of a round: no line that was written whole.
  const folder = join(here.root, "quarantine");
  const torn = existsSync(folder) ? readdirSync(folder) : [];
  expect(torn.length).toBeLessThanOrEqual(ROUNDS);
  expect(torn.filter((name) => readFileSync(join(folder, name)).includes(10))).toEqual([]);
  expect(here.problems.filter(({ error }) => error.code !== "METER_JOURNAL_DAMAGED")).toEqual([]);
});
