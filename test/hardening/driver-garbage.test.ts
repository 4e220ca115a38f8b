import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

import { expect, it, onTestFinished } from "vitest";

const run = promisify(execFile);
const STORE = resolve(import.meta.dirname, "../../dist/sqlite/sqlite-store.js");

// Garbage is collected while timers run: there some releases of Node 24 end the process when the driver destroys what
// it had opened (`Assertion failed: (env) != nullptr`).
const PROGRAM = `import { openSqliteStore } from ${JSON.stringify(STORE)};
let rounds = 0;
const timer = setInterval(async () => {
  const store = await openSqliteStore({ path: "./meter.db", bucketMs: 60_000 });
  await store.counts();
  await store.close();
  globalThis.garbage = Array.from({ length: 30_000 }, (_, at) => ({ at, text: "x" + at }));
  if (++rounds < 150) return;
  clearInterval(timer);
  console.log("survived");
}, 1);`;

it("lives on when databases and statements become garbage, on every Node", async () => {
  const folder = mkdtempSync(join(tmpdir(), "meterbook-garbage-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "app.mjs"), PROGRAM);
  const { stdout } = await run(process.execPath, ["--max-semi-space-size=1", "app.mjs"], {
    cwd: folder,
    timeout: 100_000,
  });
  expect(stdout).toContain("survived");
}, 120_000);
