import { fileURLToPath } from "node:url";

import { defineConfig } from "vitest/config";

/** Only the tests of what is mutated, as run.js says: each mutant runs them anew. */
const tests = process.env["MUTATION_TESTS"] ?? "test/core/**/*.test.ts";

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../..", import.meta.url)),
    include: tests.split(" "),
    exclude: ["**/node_modules/**"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
