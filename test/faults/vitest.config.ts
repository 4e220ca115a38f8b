import { fileURLToPath } from "node:url";

import { defineConfig } from "vitest/config";

/** Where the gate wants the figures of the run, as JSON. */
const results = process.env["TEST_RESULTS"];

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../..", import.meta.url)),
    include: ["test/{faults,simulation}/**/*.test.ts"],
    // FAULT_DEPTH=long tries for hours; what hangs is told by the tests' own bounds on what they wait for.
    testTimeout: process.env["FAULT_DEPTH"] === "long" ? 6 * 3_600_000 : 600_000,
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
    reporters: results === undefined ? ["default"] : ["default", ["json", { outputFile: results }]],
  },
});
