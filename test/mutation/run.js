// @ts-check
// npm run mutation [-- decimal outbox/closing …]: changes the code in every small way, and demands that a test notices.
// One run per file, with the tests of that file: a mutant costs a fraction of a second, and the results of a file whose
// code and tests are as they were are kept. --force after the name does it anew.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";

import { MUTATED } from "./mutated.js";
import { reportPath, writeSurvivors } from "./survivors.js";

const FOLDER = import.meta.dirname;
const ROOT = resolve(FOLDER, "../..");
const CONFIG = "test/mutation/stryker.config.js";
const STRYKER = join(FOLDER, "node_modules/@stryker-mutator/core/bin/stryker.js");

const names = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const options = process.argv.slice(2).filter((word) => word.startsWith("--"));
const chosen = Object.keys(MUTATED).filter(
  (file) => names.length === 0 || names.some((name) => file.endsWith(`/${name}.ts`)),
);
if (chosen.length === 0) throw new Error(`expected names of ${Object.keys(MUTATED).join(", ")}`);

if (!existsSync(STRYKER)) {
  const npm = process.env["npm_execpath"];
  const [command, args] = npm === undefined ? ["npm", []] : [process.execPath, [npm]];
  spawnSync(command, [...args, "install", "--no-audit", "--no-fund"], { cwd: FOLDER, stdio: "inherit" });
}

/** @type {string[]} */
const failed = [];
for (const file of chosen) {
  const begunAt = performance.now();
  const { status } = spawnSync(
    process.execPath,
    [STRYKER, "run", CONFIG, "--mutate", file, "--incrementalFile", reportPath(FOLDER, file), ...options],
    {
      cwd: ROOT,
      stdio: "inherit",
      env: { ...process.env, MUTATION_TESTS: (MUTATED[file] ?? []).join(" ") },
    },
  );
  console.log(`${file}: ${((performance.now() - begunAt) / 1000).toFixed(0)} s`);
  if (status !== 0) failed.push(file);
}

const { missing, unexplained, unused } = writeSurvivors(FOLDER, Object.keys(MUTATED));
const page = join(FOLDER, "SURVIVORS.md");
spawnSync(process.execPath, [join(ROOT, "node_modules/oxfmt/bin/oxfmt"), page], { cwd: ROOT, stdio: "inherit" });
if (missing.length > 0) console.log(`SURVIVORS.md stays as it is: no results yet of ${missing.join(", ")}.`);
for (const key of unexplained) console.log(`No reason for: ${key}`);
for (const key of unused) console.log(`A reason for a mutant that does not survive: ${key}`);
for (const file of failed) console.log(`Too many survivors, or no result: ${file}`);
process.exitCode = failed.length > 0 || unexplained.length > 0 ? 1 : 0;
