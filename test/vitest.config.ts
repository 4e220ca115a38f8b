import { fileURLToPath } from "node:url";

import { defineConfig } from "vitest/config";

/** Where the gate wants the figures of the run, as JSON. */
const results = process.env["TEST_RESULTS"];

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("..", import.meta.url)),
    include: ["test/**/*.test.ts"],
    // They have a command of their own, test:faults: minutes of kills, full disks and jumping clocks.
    exclude: ["test/{faults,simulation}/**", "**/node_modules/**", "**/.stryker-tmp/**"],
    // Two cores run real servers, workers and SQLite files at once: a slow machine is not a failure.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: "forks",
    reporters: results === undefined ? ["default"] : ["default", ["json", { outputFile: results }]],
  },
});
