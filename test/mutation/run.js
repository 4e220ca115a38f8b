// @ts-check
// npm run mutation [-- --mutate src/core/decimal.ts]: changes the code in every small way, and demands that a test notices.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";

import { writeSurvivors } from "./survivors.js";

const FOLDER = import.meta.dirname;
const ROOT = resolve(FOLDER, "../..");
const STRYKER = join(FOLDER, "node_modules/@stryker-mutator/core/bin/stryker.js");

if (!existsSync(STRYKER)) {
  const npm = process.env["npm_execpath"];
  const [command, args] = npm === undefined ? ["npm", []] : [process.execPath, [npm]];
  spawnSync(command, [...args, "install", "--no-audit", "--no-fund"], { cwd: FOLDER, stdio: "inherit" });
}
const { status } = spawnSync(
  process.execPath,
  [STRYKER, "run", "test/mutation/stryker.config.js", ...process.argv.slice(2)],
  { cwd: ROOT, stdio: "inherit" },
);
process.exitCode = status ?? 1;
if (existsSync(join(FOLDER, "reports/mutation.json"))) {
  const unexplained = writeSurvivors(FOLDER);
  console.log(`${unexplained} survivors without a reason; see test/mutation/SURVIVORS.md.`);
}
