import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { promisify } from "node:util";

import { expect, it } from "vitest";

import { cli, records, workspace } from "../cli/cli.ts";

const run = promisify(execFile);
const DIST = resolve(import.meta.dirname, "../../dist/index.js");
const YAML = "version: 1\nstorage: { path: ./meter.db }\nmeters:\n  jobs: { aggregate: count }\n";

// It awaits nothing at its end and keeps nothing open: a worker must neither hold the process nor be missing.
const PROGRAM = `import { meter } from ${JSON.stringify(DIST)};
const metering = meter({ report: false });
metering.track("job", { companyId: "acme", id: "1" });
await metering.flush();
console.log("flushed");`;

it.each([
  [["--input-type=module", "-e", PROGRAM]],
  [["--expose-gc", "--max-old-space-size=128", "--input-type=module", "-e", PROGRAM]],
  [["--max-old-space-size=128", "--import", `data:text/javascript,`, "--input-type=module", "-e", PROGRAM]],
])("starts its worker and lets the process end under node %j", async (args) => {
  const directory = workspace(YAML);
  const { stdout, stderr } = await run(process.execPath, args, { cwd: directory, timeout: 20_000 });
  expect(stdout).toBe("flushed\n");
  expect(stderr).toBe("");
  expect(records(await cli(directory, ["usage", "--json"]))[0]).toMatchObject({ customer: "acme", value: "1" });
});

it("lets a process end that only tracks: the next command finds the event", async () => {
  const directory = workspace(YAML);
  const program = PROGRAM.replace("await metering.flush();", "");
  await run(process.execPath, ["--input-type=module", "-e", program], { cwd: directory, timeout: 20_000 });
  expect(records(await cli(directory, ["usage", "--json"]))[0]).toMatchObject({ customer: "acme", value: "1" });
});

it("answers V8's own options given to a program file", async () => {
  const directory = workspace(YAML);
  writeFileSync(resolve(directory, "app.mjs"), PROGRAM);
  const { stdout } = await run(process.execPath, ["--expose-gc", "--max-old-space-size=128", "app.mjs"], {
    cwd: directory,
    timeout: 20_000,
  });
  expect(stdout).toBe("flushed\n");
});
