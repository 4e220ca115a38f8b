import { execFileSync } from "node:child_process";
import { existsSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, it, onTestFinished } from "vitest";

import { depth, testRandom } from "./depth.ts";
import { recordFigures } from "./figures.ts";
import { startApp } from "./metered-app.ts";
import { needs } from "./needs.ts";
import { expectWhole, figuresOf, startOracle } from "./oracle.ts";
import { emptyFolder, ended, writeConfiguration } from "./place.ts";
import { toldLoad, untilRecording, untilStored } from "./told-load.ts";

/** A small file system in memory; unmounted when the test is over. */
function smallDisk(size: string): string {
  const folder = emptyFolder();
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "meterbook-test", folder]);
  onTestFinished(() => void execFileSync("umount", [folder]));
  return folder;
}

function remount(folder: string, how: "ro" | "rw"): void {
  execFileSync("mount", ["-o", `remount,${how}`, folder]);
}

/** Takes all the room there is, but for `leaveBytes`; answers how to give it back. */
function fill(folder: string, leaveBytes: number): () => void {
  const { bavail, bsize } = statfsSync(folder);
  const ballast = join(folder, "ballast");
  writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - leaveBytes), 1));
  return () => rmSync(ballast);
}

it("a full disk breaks no response; what is refused is told, and it goes on when there is room", async (context) => {
  needs(context, "mount");
  const random = testRandom();
  const folder = smallDisk("3m");
  writeConfiguration(folder, null);
  const oracle = await startOracle();
  onTestFinished(() => oracle.close());
  const app = startApp({ folder, env: { APP_TELLS: "yes" } });
  const rounds = depth({ ci: 3, long: 30 });
  let refused = 0;
  let failedFlushes = 0;
  for (let round = 0; round < rounds; round++) {
    const shared = { app, oracle, random, prefix: `full${round}` };
    await toldLoad({ ...shared, prefix: `before${round}`, requests: 50 });
    await untilStored(app);
    const free = fill(folder, random.between(0, 60_000));
    const during = await toldLoad({ ...shared, requests: 400, padBytes: 300 });
    if ((await app.flush()) !== null) failedFlushes += 1;
    // Whatever little room was left is used up now, also by the database.
    expect(during.refused + failedFlushes).toBeGreaterThan(0);
    free();
    refused += during.refused + (await untilRecording(shared)).refused;
    await untilStored(app);
    expectWhole(await oracle.check({ directory: folder }));
  }
  expect(await app.close()).toBe(null);
  const verdict = await oracle.check({ directory: folder });
  recordFigures({
    test: "disk full, then freed",
    rounds,
    ...figuresOf(verdict),
    note: `${refused} events refused and told; ${failedFlushes} flushes said so`,
  });
  expectWhole(verdict);
  expect(refused).toBeGreaterThan(0);
});

it("on a disk that became read-only an app starts, answers and tells; made writable again, it counts", async (context) => {
  needs(context, "mount");
  const random = testRandom();
  const folder = smallDisk("16m");
  writeConfiguration(folder, null);
  const oracle = await startOracle();
  onTestFinished(() => oracle.close());
  const rounds = depth({ ci: 2, long: 20 });
  let refused = 0;
  for (let round = 0; round < rounds; round++) {
    // Killed, it leaves a journal that nobody has drained.
    const before = startApp({ folder, env: { APP_TELLS: "yes" } });
    await toldLoad({ app: before, oracle, random, prefix: `before${round}`, requests: 300 });
    await ended(before.child);
    // Only between two processes: the system refuses to take a disk away from files that are open for writing.
    remount(folder, "ro");
    const app = startApp({ folder, env: { APP_TELLS: "yes" } });
    const shared = { app, oracle, random, prefix: `readonly${round}` };
    const during = await toldLoad({ ...shared, requests: 100 });
    expect(during).toEqual({ answered: 100, refused: 100 });
    expect(await app.flush()).not.toBe(null);
    remount(folder, "rw");
    refused += during.refused + (await untilRecording(shared)).refused;
    await untilStored(app);
    expect(await app.close()).toBe(null);
    expectWhole(await oracle.check({ directory: folder }));
  }
  const verdict = await oracle.check({ directory: folder });
  recordFigures({
    test: "disk read-only, then writable",
    rounds,
    ...figuresOf(verdict),
    note: `${refused} events refused and told`,
  });
  expectWhole(verdict);
  expect(existsSync(join(folder, "meter.db-journals"))).toBe(true);
});
