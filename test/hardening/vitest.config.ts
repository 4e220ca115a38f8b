import { fileURLToPath } from "node:url";

import { defineConfig } from "vitest/config";

/** Where the gate wants the figures of the run, as JSON. */
const results = process.env["TEST_RESULTS"];

/**
 * The suite in a hostile process: `__proto__` cannot be used at all (--disable-proto=throw, which Node documents as a
 * defence in depth), and Object.prototype carries what an attacker would put there.
 */
export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../..", import.meta.url)),
    include: [
      "test/{core,config,engine,journal,memory,sqlite,capture,stripe,runtime,server}/**/*.test.ts",
      "test/hardening/prototype.test.ts",
    ],
    setupFiles: ["test/hardening/poison.ts"],
    execArgv: ["--disable-proto=throw"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    reporters: results === undefined ? ["default"] : ["default", ["json", { outputFile: results }]],
  },
});
