import { fileURLToPath } from "node:url";

import { defineConfig } from "vitest/config";

/** Only the tests of what is mutated: each mutant runs them anew. */
export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../..", import.meta.url)),
    include: ["test/core/**/*.test.ts", "test/engine/**/*.test.ts"],
    exclude: ["**/node_modules/**", "test/core/errors.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
