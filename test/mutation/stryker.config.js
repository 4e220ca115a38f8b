// @ts-check
import { fileURLToPath } from "node:url";

/** @param {string} path relative to this folder */
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/**
 * Options of stryker (https://stryker-mutator.io/docs/stryker-js/configuration); paths are the project's. What is mutated,
 * by which tests and where the results are kept, comes from run.js.
 */
export default {
  testRunner: "vitest",
  plugins: [here("node_modules/@stryker-mutator/vitest-runner/dist/src/index.js")],
  vitest: { configFile: "test/mutation/vitest.config.ts", related: false },
  coverageAnalysis: "perTest",
  ignoreStatic: true,
  concurrency: Number(process.env["MUTATION_WORKERS"] ?? 2),
  timeoutMS: 10_000,
  incremental: true,
  tempDirName: "test/mutation/.stryker-tmp",
  ignorePatterns: [
    "dist",
    "data",
    "coverage",
    "examples",
    "test/bench",
    "test/mutation/node_modules",
    "test/mutation/reports",
  ],
  reporters: ["clear-text"],
  clearTextReporter: { allowColor: false, reportTests: false, reportMutants: false },
  thresholds: { high: 95, low: 90, break: 85 },
};
