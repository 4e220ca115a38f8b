// @ts-check
import { fileURLToPath } from "node:url";

/** What carries money: the rules of numbers, windows, meters and reports, and the outbox that sends them. */
const MUTATED = {
  core: [
    "decimal",
    "usage-record",
    "usage",
    "window",
    "aggregation",
    "event-rules",
    "amended-event",
    "exact-number",
    "exact-json",
    "meter-versions",
    "bucket-fold",
  ],
  "engine/outbox": ["outbox", "closing", "held-reports", "report-windows", "record-identifier"],
  "engine/delivery": ["delivery", "delivery-gates", "read-back", "pace"],
};

/** @param {string} path relative to this folder */
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Options of stryker (https://stryker-mutator.io/docs/stryker-js/configuration); paths are the project's. */
export default {
  mutate: Object.entries(MUTATED).flatMap(([folder, names]) => names.map((name) => `src/${folder}/${name}.ts`)),
  testRunner: "vitest",
  plugins: [here("node_modules/@stryker-mutator/vitest-runner/dist/src/index.js")],
  vitest: { configFile: "test/mutation/vitest.config.ts" },
  coverageAnalysis: "perTest",
  ignoreStatic: true,
  concurrency: Number(process.env["MUTATION_WORKERS"] ?? 2),
  timeoutMS: 20_000,
  incremental: true,
  incrementalFile: "test/mutation/reports/incremental.json",
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
  reporters: ["clear-text", "json"],
  clearTextReporter: { allowColor: false, reportTests: false, reportMutants: false },
  jsonReporter: { fileName: "test/mutation/reports/mutation.json" },
  thresholds: { high: 95, low: 90, break: 85 },
};
