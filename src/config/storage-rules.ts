import { checkDuration } from "./duration-rules.ts";
import { placeAt, type Place } from "./place.ts";
import type { Settings } from "./settings.ts";

/** The database of a configuration that does not name one, relative to the configuration's folder. */
const DEFAULT_STORAGE_PATH = "./data/meter.db";

export function checkStorage(root: Place, directory: string): Settings["storage"] {
  const storage = root.child("storage");
  const path = storage?.child("path") ?? null;
  const text = path?.text() ?? DEFAULT_STORAGE_PATH;
  if (text.startsWith("~")) path?.error("~ is not expanded; write ${HOME}", { showReceived: true });
  if (text.includes("\0")) path?.error("a path cannot hold a NUL character");
  if (text === ":memory:")
    path?.error("expected the path of a file; for no file at all write durability: memory", { showReceived: true });
  if (/[/\\]$/.test(text)) path?.error("expected a file, this names a folder", { showReceived: true });
  const keepEvents = storage?.child("keepEvents") ?? null;
  const durability = placeAt(root, "storage", "durability")?.text();
  return {
    path: absolutePath(text, directory),
    keepEventsMs: keepEvents === null ? null : checkDuration(keepEvents, 0),
    durability: durability === "power" || durability === "memory" ? durability : "process",
  };
}

/** `path` seen from `directory`, with `.` and `..` resolved; the purely textual part of resolving a path. */
export function absolutePath(path: string, directory: string): string {
  const isWindows =
    /^(?:[A-Za-z]:[\\/]|\\\\)/.test(path) || (!path.startsWith("/") && /^(?:[A-Za-z]:[\\/]|\\\\)/.test(directory));
  const separator = isWindows ? "\\" : "/";
  const isAbsolute = path.startsWith("/") || /^(?:[A-Za-z]:[\\/]|\\\\)/.test(path);
  const whole = isAbsolute ? path : `${directory}${separator}${path}`;
  const root = /^(?:[A-Za-z]:[\\/]|\\\\|\/)?/.exec(whole)?.[0] ?? "";
  const steps: string[] = [];
  for (const step of whole.slice(root.length).split(isWindows ? /[\\/]/ : "/")) {
    if (step === "..") steps.pop();
    else if (step !== "" && step !== ".") steps.push(step);
  }
  return root + steps.join(separator);
}
