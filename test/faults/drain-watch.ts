import { existsSync, readdirSync, watch, type FSWatcher } from "node:fs";
import { join } from "node:path";

/** A step of the worker that can be seen from outside: the database's log was written to, or the journal of a dead process was deleted. */
export type DrainStep = "written" | "swept";

/** Tells each step at once, as the operating system does; answers how to stop. */
export function watchDrain(folder: string, onStep: (step: DrainStep) => void): () => void {
  const root = join(folder, "meter.db-journals");
  const standing = new Set(existsSync(root) ? readdirSync(root) : []);
  const watchers: FSWatcher[] = [
    watch(folder, (_, name) => {
      if (name === "meter.db-wal") onStep("written");
    }),
  ];
  if (standing.size > 0) {
    for (const name of standing)
      watchers.push(
        // A segment or the folder itself is gone; what a living process makes is in a folder of its own.
        watch(join(root, name), (kind, file) => {
          if (kind === "rename" && file !== null && !existsSync(join(root, name, file))) onStep("swept");
        }),
      );
  }
  return () => {
    for (const watcher of watchers) watcher.close();
  };
}
