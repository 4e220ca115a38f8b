// @ts-check
import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";

/** What is made anew in the copy, or is no part of the sources. */
const LEFT_OUT = new Set(["node_modules", "dist", ".git", "coverage", "data", ".stryker-tmp"]);

/**
 * Copies the sources of a project as they are now, uncommitted ones too. Installed packages in the copy stay.
 * @param {string} from
 * @param {string} to
 */
export function copyProject(from, to) {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(to))
    if (name !== "node_modules") rmSync(join(to, name), { recursive: true, force: true });
  for (const name of readdirSync(from)) {
    if (LEFT_OUT.has(name)) continue;
    cpSync(join(from, name), join(to, name), { recursive: true, filter: (path) => !LEFT_OUT.has(basename(path)) });
  }
}
