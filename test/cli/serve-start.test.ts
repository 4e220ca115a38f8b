import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";

import Database from "better-sqlite3";
import { describe, expect, it } from "vitest";

import { cli, workspace } from "./cli.ts";
import { served } from "./served.ts";

const SLOW = 120_000;
/** Far less than a call may wait for the store. */
const AT_ONCE_MS = 10_000;
const YAML = `version: 1
storage: { path: ./meter.db }
meters:
  runs: { eventType: agent_run, aggregate: count }
`;

describe("meterbook serve", () => {
  it.each([
    ["a folder", (path: string) => mkdirSync(path), "it is a directory"],
    ["another program's database", foreignDatabase, "it is the database of another program"],
    ["no database", (path: string) => writeFileSync(path, "no database ".repeat(100)), "it is not an SQLite database"],
  ])(
    "ends at once over %s, and says what opening it said",
    async (_what, make, reason) => {
      const directory = workspace(YAML);
      make(join(directory, "meter.db"));
      const from = performance.now();
      const { code, stderr } = await cli(directory, ["serve", "--port", "0", "--json"]);
      expect(performance.now() - from).toBeLessThan(AT_ONCE_MS);
      expect([code, JSON.parse(stderr)]).toMatchObject([
        1,
        {
          code: "METER_STORE_UNREADABLE",
          message: `The database ${join(directory, "meter.db")} cannot be opened: ${reason}.`,
        },
      ]);
    },
    SLOW,
  );

  it(
    "reads its configuration again after a SIGHUP that came before it listened",
    async () => {
      const directory = workspace(null);
      const file = join(directory, "meterbook.yaml");
      // A pipe: who reads the configuration waits for us.
      execFileSync("sh", ["-c", `mkfifo "$0"`, file]);
      const starting = served(directory, [], {}, "echo $$ > pid");
      const first = await open(file, "w");
      process.kill(Number(readFileSync(join(directory, "pid"), "utf8")), "SIGHUP");
      await first.writeFile(YAML);
      await first.close();
      const { url, seen } = await starting;
      const second = await open(file, "w");
      await second.writeFile(`${YAML}  more: { eventType: agent_run, aggregate: count }\n`);
      await second.close();
      await seen(/The edited configuration is in force/);
      expect(JSON.stringify(await (await fetch(`${url}/v1/meters`)).json())).toContain('"more"');
    },
    SLOW,
  );

  it(
    "tells a person whether it made the database",
    async () => {
      const directory = workspace(YAML);
      const terminal = { NODE_OPTIONS: "--import=data:text/javascript,process.stdout.isTTY=true" };
      const first = await served(directory, [], terminal);
      await first.seen(/curl .*\/v1\/status/);
      expect(first.text()).toMatch(/^ {2}database .*meter\.db \(new\)$/m);
      await first.stop("SIGTERM");
      const second = await served(directory, [], terminal);
      await second.seen(/curl .*\/v1\/status/);
      expect(second.text()).toMatch(/^ {2}database .*meter\.db$/m);
    },
    SLOW,
  );
});

function foreignDatabase(path: string): void {
  const other = new Database(path);
  other.exec("CREATE TABLE theirs (a)");
  other.close();
}
