import { writeFileSync } from "node:fs";
import process from "node:process";

import { configJsonSchema } from "./schema.ts";

// The one file of this folder that does IO: `node dist/config/write-schema.js schema.json`, run by the build.
const target = process.argv[2];
if (target === undefined) {
  process.stderr.write("usage: node write-schema.js <file>\n");
  process.exitCode = 1;
} else {
  writeFileSync(target, `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
}
