/** What an installed package must be, and why. Versions are compared part by part, pre-releases as below their release. */
export interface Floor {
  readonly name: string;
  /** One line per major version that may stand in the tree; a copy of any other major version is refused. */
  readonly allowed: readonly { readonly major: number; readonly from: string }[];
  /** The first version that is refused again, where there is one. */
  readonly below?: string;
  readonly why: string;
}

/** The floors, from published advisories. A package that is not in the tree breaks no floor. */
export const FLOORS: readonly Floor[] = [
  {
    name: "better-sqlite3",
    allowed: [{ major: 12, from: "12.8.0" }],
    below: "13.0.0",
    why: "13 ends the process on Node 20; 12.8.0 is the first with an SQLite that has no WAL-reset loss",
  },
  {
    name: "express",
    allowed: [
      { major: 5, from: "5.3.0" },
      { major: 4, from: "4.22.2" },
    ],
    why: "the first that require sound body-parser, qs and path-to-regexp",
  },
  {
    name: "body-parser",
    allowed: [
      { major: 2, from: "2.3.0" },
      { major: 1, from: "1.20.6" },
    ],
    why: "CVE-2026-12590: a size limit that cannot be parsed was no limit; CVE-2025-13466, CVE-2024-45590",
  },
  {
    name: "qs",
    allowed: [{ major: 6, from: "6.16.0" }],
    why: "CVE-2025-15284, CVE-2026-2391, CVE-2026-8723, CVE-2026-82417, CVE-2026-82562",
  },
  {
    name: "path-to-regexp",
    allowed: [
      { major: 8, from: "8.4.0" },
      { major: 0, from: "0.1.13" },
    ],
    why: "CVE-2026-4926, CVE-2026-4867, CVE-2024-45296: routes that take exponential time",
  },
  {
    name: "jsonpath-plus",
    allowed: [{ major: 10, from: "10.4.0" }],
    why: "CVE-2024-21534, CVE-2025-1302 and the getter lookup before 10.4.0; and only with eval: false",
  },
];

/** Packages that must not be in the tree at all. */
export const REFUSED_PACKAGES: readonly { readonly name: string; readonly why: string }[] = [
  { name: "jsonpath", why: "GHSA-87r5-mp6g-5w5j: evaluates scripts of a path" },
  { name: "static-eval", why: "evaluates code, and has a history of escapes" },
  { name: "vm2", why: "a sandbox that was given up" },
];

/** SQLite inside the driver: the first without the WAL-reset loss (https://sqlite.org/wal.html#walresetbug). */
export const SQLITE_VERSION_MIN = "3.51.3";

/** Licences under which the production tree may be used without asking anybody, by their SPDX names. */
export const LICENCES: ReadonlySet<string> = new Set([
  "MIT",
  "ISC",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "Apache-2.0",
  "0BSD",
  "BlueOak-1.0.0",
]);

/** The packages that may run a program while they are installed: a native driver has to be built. */
export const INSTALL_SCRIPTS: readonly string[] = ["better-sqlite3"];

/** Below zero when the first version comes before the second. */
export function compareVersions(left: string, right: string): number {
  const [[leftRelease = "", leftPre], [rightRelease = "", rightPre]] = [left, right].map((text) =>
    (text.split("+")[0] ?? "").split(/-(.*)/s),
  ) as [string[], string[]];
  const [these, those] = [leftRelease, rightRelease].map((text) => text.split(".").map(Number));
  for (let place = 0; place < 3; place += 1) {
    const difference = (these?.[place] ?? 0) - (those?.[place] ?? 0);
    if (difference !== 0) return difference;
  }
  return (leftPre === undefined ? 1 : 0) - (rightPre === undefined ? 1 : 0);
}

/** Why a copy of a package breaks its floor; null when it does not. */
export function breachOf({ name, allowed, below, why }: Floor, version: string): string | null {
  const line = allowed.find(({ major }) => major === Number(version.split(".")[0]));
  const isGood =
    line !== undefined &&
    compareVersions(version, line.from) >= 0 &&
    (below === undefined || compareVersions(version, below) < 0);
  return isGood ? null : `${name} ${version}: ${why}`;
}
