import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import BetterSqlite3 from "better-sqlite3";
import { describe, expect, it } from "vitest";

import {
  type Floor,
  breachOf,
  compareVersions,
  FLOORS,
  INSTALL_SCRIPTS,
  LICENCES,
  REFUSED_PACKAGES,
  SQLITE_VERSION_MIN,
} from "./floors.ts";
import { installedTree, isLicenceAmong, lockedPackages, ROOT } from "./installed-tree.ts";

const installed = installedTree();
const locked = lockedPackages();
const read = (path: string): unknown => JSON.parse(readFileSync(join(ROOT, path), "utf8"));

/** The direct dependencies that reach users. A new one is a decision, and is written down here with its reason. */
const RUNTIME: Readonly<Record<string, string>> = {
  "@marcbachmann/cel-js": "computed fields",
  "better-sqlite3": "the database",
  commander: "the command line",
  croner: "when a meter type's schedule begins the next period",
  express: "the demo",
  "hyparquet-writer": "exports as Parquet",
  "jsonpath-plus": "field paths that start with $",
  "on-headers": "headers as they are sent, in the order of other middleware",
  picocolors: "colours of the command line",
  pino: "the log of the HTTP service",
  re2js: "regular expressions that take linear time",
  stripe: "the biller",
  "temporal-polyfill": "days and months of time zones",
  yaml: "the configuration, with places of mistakes",
  zod: "the configuration's form",
};

describe("the installed tree", () => {
  it("has no copy of a package below its floor", () => {
    const breaches = installed.flatMap(({ place, name, version }) => {
      const floor = FLOORS.find((each) => each.name === name);
      const breach = floor === undefined ? null : breachOf(floor, version);
      return breach === null ? [] : [`${place}: ${breach}`];
    });
    expect(breaches).toEqual([]);
    // Each floor is about something that is really there.
    expect(FLOORS.map(({ name }) => name).filter((name) => !installed.some((each) => each.name === name))).toEqual([]);
  });

  it("looks at every copy, nested and scoped ones too", () => {
    expect(majorsOf("qs")).toEqual([6, 6]);
    expect(majorsOf("path-to-regexp")).toEqual([0, 8]);
    expect(majorsOf("@marcbachmann/cel-js")).toHaveLength(1);
  });

  it("has none of the packages that are refused", () => {
    const refused = new Set(REFUSED_PACKAGES.map(({ name }) => name));
    expect(installed.filter(({ name }) => refused.has(name)).map(({ place }) => place)).toEqual([]);
  });

  it("runs a program while it is installed for the native driver only", () => {
    const locks = [...locked].filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([place]) => place);
    expect(locks).toEqual(INSTALL_SCRIPTS.map((name) => `node_modules/${name}`));
    const running = installed.filter(({ place, hasInstallScript }) => hasInstallScript && locked.has(place));
    expect(running.map(({ name }) => name)).toEqual(INSTALL_SCRIPTS);
    expect(read("package.json")).toHaveProperty(
      "allowScripts",
      Object.fromEntries(INSTALL_SCRIPTS.map((name) => [name, true])),
    );
  });

  it("is what the lock file says, and every locked package has its checksum", () => {
    expect(
      [...locked].filter(([, { integrity, link }]) => link !== true && integrity?.startsWith("sha512-") !== true),
    ).toEqual([]);
    const wrong = installed
      .filter(({ place }) => locked.has(place))
      .filter(({ place, version }) => locked.get(place)?.version !== version);
    expect(wrong).toEqual([]);
    const required = [...locked].filter(([, { optional }]) => optional !== true).map(([place]) => place);
    const places = new Set(installed.map(({ place }) => place));
    expect(required.filter((place) => !places.has(place))).toEqual([]);
  });

  it("may be used by everyone: licences of what reaches users", () => {
    const production = installed.filter(({ place }) => locked.get(place)?.dev !== true && locked.has(place));
    expect(production.length).toBeGreaterThan(50);
    expect(production.filter(({ licence }) => !isLicenceAmong(licence, LICENCES))).toEqual([]);
  });

  it("has exactly the runtime dependencies that were decided, each pinned to one version", () => {
    const { dependencies } = read("package.json") as { dependencies: Record<string, string> };
    expect(Object.keys(dependencies).toSorted()).toEqual(Object.keys(RUNTIME).toSorted());
    expect(Object.values(dependencies).filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });
});

it("runs on an SQLite that keeps what it committed", () => {
  const db = new BetterSqlite3(":memory:");
  const version = String(db.prepare("SELECT sqlite_version()").pluck().get());
  db.close();
  expect(compareVersions(version, SQLITE_VERSION_MIN)).toBeGreaterThanOrEqual(0);
});

it("gives jsonpath-plus to one module, which never lets it evaluate", () => {
  const users = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => ({ name, text: readFileSync(join(ROOT, "src", name), "utf8") }))
    .filter(({ text }) => text.includes('from "jsonpath-plus"'));
  expect(users.map(({ name }) => name)).toEqual(["core/json-path.ts"]);
  const calls = (users[0]?.text ?? "").split("\n").filter((line) => line.includes("JSONPath("));
  expect(calls).toHaveLength(1);
  expect(calls[0]).toContain("eval: false");
});

describe("a floor", () => {
  it.each([
    ["better-sqlite3", "12.7.9", false],
    ["better-sqlite3", "12.8.0", true],
    ["better-sqlite3", "12.11.1", true],
    ["better-sqlite3", "13.0.0", false],
    ["express", "4.22.1", false],
    ["express", "5.2.9", false],
    ["express", "5.3.0-beta.1", false],
    ["express", "5.3.0", true],
    ["qs", "6.15.9", false],
    ["path-to-regexp", "0.1.12", false],
    ["path-to-regexp", "1.9.0", false],
    ["path-to-regexp", "8.4.0", true],
    ["jsonpath-plus", "10.3.9", false],
    ["jsonpath-plus", "11.0.0", false],
  ])("of %s takes %s: %s", (name, version, isGood) => {
    expect(breachOf(floorOf(name), version) === null).toBe(isGood);
  });

  it("of licences reads choices and sets", () => {
    expect(isLicenceAmong("(BSD-2-Clause OR MIT OR Apache-2.0)", LICENCES)).toBe(true);
    expect(isLicenceAmong("MIT OR GPL-3.0-only", LICENCES)).toBe(true);
    expect(isLicenceAmong("MIT AND GPL-3.0-only", LICENCES)).toBe(false);
    expect(isLicenceAmong("none", LICENCES)).toBe(false);
  });
});

function majorsOf(wanted: string): number[] {
  return installed
    .filter(({ name }) => name === wanted)
    .map(({ version }) => Number(version.split(".")[0]))
    .toSorted((left, right) => left - right);
}

function floorOf(wanted: string): Floor {
  const floor = FLOORS.find(({ name }) => name === wanted);
  if (floor === undefined) throw new Error(`no floor for ${wanted}`);
  return floor;
}
