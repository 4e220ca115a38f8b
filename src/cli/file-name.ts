import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";

import { MeterbookError } from "../core/errors.ts";

/** Gives a finished file its name, for good. METER_COMMAND_INVALID when the name is taken and may not be replaced. */
export function giveName(part: string, path: string, replace: boolean): void {
  if (replace) renameSync(part, path);
  else link(part, path);
  syncFolder(dirname(path));
}

/** METER_COMMAND_INVALID when there is a file of this name. */
export function refuseExisting(path: string, remedy: string): void {
  if (existsSync(path))
    throw new MeterbookError("METER_COMMAND_INVALID", `There is a file ${path} already.`, { remedy });
}

/** A link refuses a name that was taken meanwhile, which a renaming does not. */
function link(part: string, path: string): void {
  try {
    linkSync(part, path);
  } catch {
    refuseExisting(path, "Name another one.");
    // A disk without links: nobody made the file in the moments since it was looked for.
    return renameSync(part, path);
  }
  rmSync(part);
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
