import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { expect, it, onTestFinished } from "vitest";

import { lockedPackages, ROOT } from "./installed-tree.ts";

const run = promisify(execFile);

interface Component {
  readonly name: string;
  readonly version: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly unknown[];
}

it("writes down offline what a user gets: each runtime package with version, licence and checksum, and no other", async () => {
  const folder = mkdtempSync(join(tmpdir(), "meterbook-sbom-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "sbom.json");
  await run(process.execPath, [join(ROOT, "test/hardening/write-sbom.js"), file], { timeout: 60_000 });
  const bill = JSON.parse(readFileSync(file, "utf8")) as {
    bomFormat: string;
    specVersion: string;
    metadata: { component: { name: string } };
    components: Component[];
  };
  expect(bill).toMatchObject({ bomFormat: "CycloneDX", metadata: { component: { name: "meterbook" } } });
  const listed = new Map(bill.components.map(({ name, version }) => [name, version]));
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  expect(Object.entries(dependencies).filter(([name, version]) => listed.get(name) !== version)).toEqual([]);
  // Exactly what the lock file has for users, also where a tool of development uses the same package.
  const production = [...lockedPackages()]
    .filter(([, { dev }]) => dev !== true)
    .map(([place, { version }]) => `${place.split("node_modules/").at(-1)}@${version}`);
  expect(bill.components.map(({ name, version }) => `${name}@${version}`).toSorted()).toEqual(
    [...new Set(production)].toSorted(),
  );
  expect(bill.components.filter(({ hashes, licenses }) => hashes === undefined || licenses === undefined)).toEqual([]);
}, 120_000);
