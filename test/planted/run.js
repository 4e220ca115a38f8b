// Plants known bugs, one at a time, in a copy of the project, and demands that the test which guards against each turns red.
// A fault test that stays green with its bug in place proves nothing. Usage: node test/planted/run.js [name …]
// @ts-check
import { execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { PLANTED_BUGS } from "./bugs.js";

/** @typedef {import("./bugs.js").PlantedBug} PlantedBug */

const PROJECT = resolve(import.meta.dirname, "../..");
const LANES = 2;

/** A copy with its own sources, tests and build; only the installed packages are shared. */
function copyOfProject() {
  const copy = mkdtempSync(join(tmpdir(), "meterbook-planted-"));
  const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], {
    cwd: PROJECT,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  for (const file of files.split("\0").filter((name) => name !== "" && existsSync(join(PROJECT, name))))
    cpSync(join(PROJECT, file), join(copy, file), { recursive: true });
  symlinkSync(join(PROJECT, "node_modules"), join(copy, "node_modules"));
  return copy;
}

/**
 * Puts the bug in; answers how to take it out again.
 * @param {string} copy
 * @param {PlantedBug} bug
 */
function plant(copy, bug) {
  const originals = new Map();
  for (const { file, find, replace } of bug.edits) {
    const path = join(copy, file);
    const text = readFileSync(path, "utf8");
    if (!originals.has(path)) originals.set(path, text);
    // The code moved on: the bug must be planted anew, or it guards nothing.
    if (text.split(find).length !== 2)
      throw new Error(`${bug.name}: ${file} must hold this text exactly once:\n${find}`);
    writeFileSync(
      path,
      text.replace(find, () => replace),
    );
  }
  return () => {
    for (const [path, text] of originals) writeFileSync(path, text);
  };
}

/**
 * @param {string} copy
 * @param {string} command
 * @param {readonly string[]} args
 * @param {Readonly<Record<string, string>>} env
 * @returns {Promise<{ code: number | null, output: string }>}
 */
function run(copy, command, args, env = {}) {
  return new Promise((done, reject) => {
    const child = spawn(command, args, {
      cwd: copy,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("error", reject);
    child.on("close", (code) => done({ code, output }));
  });
}

/**
 * The titles of the tests that failed in the guarding file, and how many ran at all.
 * @param {string} copy
 * @param {PlantedBug} bug
 */
async function failedTests(copy, bug) {
  const results = join(copy, `planted-${bug.name}.json`);
  const args = ["vitest", "run", "--config", bug.config ?? "test/vitest.config.ts", "--reporter=json"];
  const wanted = bug.only === undefined ? [] : ["-t", bug.only];
  const { output } = await run(copy, "npx", [...args, `--outputFile=${results}`, ...wanted, bug.test], bug.env);
  try {
    const { testResults, numTotalTests } = JSON.parse(readFileSync(results, "utf8"));
    /** @type {{ status: string, title: string }[]} */
    const tests = testResults.flatMap((/** @type {{ assertionResults: unknown[] }} */ file) => file.assertionResults);
    const failed = tests.filter(({ status }) => status === "failed").map(({ title }) => title);
    return { failed, ran: numTotalTests };
  } catch {
    throw new Error(`${bug.name}: the tests did not run\n${output.slice(-4_000)}`);
  }
}

/**
 * @param {string} copy
 * @param {PlantedBug} bug
 */
async function tryBug(copy, bug) {
  const startedAt = performance.now();
  const takeOut = plant(copy, bug);
  try {
    const built = await run(copy, "npx", ["tsc", "-p", ".", "--noCheck"]);
    if (built.code !== 0) throw new Error(`${bug.name}: does not build\n${built.output}`);
    const { failed, ran } = await failedTests(copy, bug);
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
    const isCaught = failed.length > 0;
    const verdict = isCaught
      ? `caught by ${failed.length} of ${ran}: ${failed[0]}`
      : `NOT CAUGHT by any of ${ran} tests`;
    console.log(`${isCaught ? "✓" : "✗"} ${bug.name} (${seconds} s) ${verdict}`);
    return isCaught;
  } finally {
    takeOut();
  }
}

const named = process.argv.slice(2);
const unknown = named.filter((name) => !PLANTED_BUGS.some((bug) => bug.name === name));
if (unknown.length > 0) {
  if (!unknown.includes("--help")) console.error(`There is no planted bug ${unknown.join(", ")}.`);
  console.error(`npm run test:planted [-- name …]\n\n${PLANTED_BUGS.map(({ name }) => name).join("\n")}`);
  process.exit(unknown.includes("--help") ? 0 : 2);
}
const wanted = PLANTED_BUGS.filter(({ name }) => named.length === 0 || named.includes(name));
const rest = wanted.values();
let caught = 0;
await Promise.all(
  Array.from({ length: Math.min(LANES, wanted.length) }, async () => {
    const copy = copyOfProject();
    try {
      for (const bug of rest) if (await tryBug(copy, bug)) caught += 1;
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  }),
);
console.log(`${caught} of ${wanted.length} planted bugs caught`);
process.exitCode = caught === wanted.length ? 0 : 1;
