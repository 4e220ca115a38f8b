import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

import { expect, it } from "vitest";

import { workspace } from "../cli/cli.ts";

const run = promisify(execFile);
const DIST = resolve(import.meta.dirname, "../../dist/index.js");
const MAIN = resolve(import.meta.dirname, "../../dist/cli/main.js");
const YAML = "version: 1\nstorage: { path: ./data/books/meter.db }\nmeters:\n  jobs: { aggregate: count }\n";

/** Counts an event, waits until it is stored, and ends without closing: every file that a running app has stands there. */
const APP = `process.umask(0);
const { meter } = await import(${JSON.stringify(DIST)});
const { IncomingMessage, ServerResponse } = await import("node:http");
const metering = meter({ report: false, getSessionToken: () => "session" });
metering.track("job", { companyId: "acme", id: "1" });
await metering.flush({ timeoutMs: 20_000 });
metering.track("job", { companyId: "acme", id: "2" });
process.kill(process.pid, "SIGKILL");`;

/** Every path below a folder with its mode, folders with a slash at the end. */
function modes(folder: string, below = ""): [string, string][] {
  return readdirSync(join(folder, below), { withFileTypes: true }).flatMap((entry) => {
    const name = join(below, entry.name);
    const mode = (statSync(join(folder, name)).mode & 0o777).toString(8);
    return entry.isDirectory() ? [[`${name}/`, mode] as [string, string], ...modes(folder, name)] : [[name, mode]];
  });
}

const named = (all: readonly [string, string][]): [string, string][] =>
  all.map(([name, mode]) => [name.replaceAll(/[0-9a-z]{14,15}/g, "WRITER"), mode]);

it("makes every file for its owner only, whatever the umask: database, log, journals, key and quarantine", async () => {
  const directory = workspace(YAML);
  writeFileSync(join(directory, "app.mjs"), APP);
  await expect(run(process.execPath, ["app.mjs"], { cwd: directory, timeout: 60_000 })).rejects.toMatchObject({
    signal: "SIGKILL",
  });
  const running = named(modes(directory)).filter(([name]) => name.startsWith("data/"));
  expect(running.filter(([name, mode]) => mode !== (name.endsWith("/") ? "700" : "600"))).toEqual([]);
  expect(running.map(([name]) => name)).toEqual(
    expect.arrayContaining([
      "data/",
      "data/books/",
      "data/books/meter.db",
      "data/books/meter.db-wal",
      "data/books/meter.db-shm",
      "data/books/meter.db-journals/",
      "data/books/meter.db-journals/session.key",
      "data/books/meter.db-journals/WRITER/",
      "data/books/meter.db-journals/WRITER/00000001.journal",
      "data/books/meter.db-journals/WRITER/writer.json",
    ]),
  );

  // A damaged segment of a writer that has ended: a command takes it in, and keeps its bytes aside.
  const dead = join(directory, "data/books/meter.db-journals/aaaaaaaaaaaaaa");
  mkdirSync(dead, { mode: 0o700 });
  writeFileSync(join(dead, "writer.json"), JSON.stringify({ pid: 1, host: "h", closedAt: 1 }), { mode: 0o600 });
  writeFileSync(join(dead, "00000001.journal"), "no line of ours\n", { mode: 0o600 });
  const command = `process.umask(0); process.argv = [process.execPath, "meterbook", "usage", "--json"]; await import(${JSON.stringify(MAIN)});`;
  writeFileSync(join(directory, "command.mjs"), command);
  const { stdout } = await run(process.execPath, ["command.mjs"], { cwd: directory, timeout: 60_000 });
  expect(JSON.parse(stdout)).toMatchObject({ value: "2" });
  const afterwards = modes(directory).filter(([name]) => name.startsWith("data/"));
  expect(afterwards.filter(([name, mode]) => mode !== (name.endsWith("/") ? "700" : "600"))).toEqual([]);
  expect(afterwards.map(([name]) => name)).toEqual(
    expect.arrayContaining([
      "data/books/meter.db-journals/quarantine/",
      "data/books/meter.db-journals/quarantine/aaaaaaaaaaaaaa-1-0.bytes",
    ]),
  );
}, 120_000);
