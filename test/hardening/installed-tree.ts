import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";

export const ROOT = resolve(import.meta.dirname, "../..");

/** One installed copy of a package, by what its own package.json says. */
export interface InstalledPackage {
  /** Its folder, relative to the project. */
  readonly place: string;
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly hasInstallScript: boolean;
}

/** One package in the lock file. */
export interface LockedPackage {
  readonly version?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly hasInstallScript?: boolean;
}

interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly license?: string | { readonly type?: string };
  readonly scripts?: Readonly<Record<string, string>>;
  readonly gypfile?: boolean;
}

/** Every copy of every package under node_modules, nested ones too. */
export function installedTree(folder: string = join(ROOT, "node_modules")): InstalledPackage[] {
  return packageFolders(folder).flatMap((place) => {
    const nested = join(place, "node_modules");
    const below = existsSync(nested) ? installedTree(nested) : [];
    return [...installedPackage(place), ...below];
  });
}

function packageFolders(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (!entry.isDirectory() || entry.name.startsWith(".")) return [];
    const path = join(folder, entry.name);
    return entry.name.startsWith("@") ? packageFolders(path) : [path];
  });
}

function installedPackage(place: string): InstalledPackage[] {
  const path = join(place, "package.json");
  if (!existsSync(path)) return [];
  const { name, version, license, scripts = {}, gypfile } = JSON.parse(readFileSync(path, "utf8")) as Manifest;
  if (name === undefined || version === undefined) return [];
  const hasInstallScript =
    ["preinstall", "install", "postinstall"].some((script) => Object.hasOwn(scripts, script)) ||
    // npm builds a package with a binding.gyp by itself, unless it says that it needs none.
    (existsSync(join(place, "binding.gyp")) && gypfile !== false);
  const licence = typeof license === "string" ? license : (license?.type ?? "none");
  return [{ place: relative(ROOT, place), name, version, licence, hasInstallScript }];
}

/** The lock file's packages by their place; the project itself, at "", is left out. */
export function lockedPackages(): ReadonlyMap<string, LockedPackage> {
  const { packages } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
    packages: Record<string, LockedPackage>;
  };
  return new Map(Object.entries(packages).filter(([place]) => place !== ""));
}

/** Whether an SPDX expression leaves a choice, or asks for a set, that is all within `known`. */
export function isLicenceAmong(expression: string, known: ReadonlySet<string>): boolean {
  return expression
    .replace(/[()]/g, "")
    .split(/ OR /)
    .some((choice) => choice.split(/ AND /).every((licence) => known.has(licence.trim())));
}
