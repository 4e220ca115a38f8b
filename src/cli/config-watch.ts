import { watch } from "node:fs";
import { basename, dirname } from "node:path";

const SAVE_SETTLES_MS = 150;

/** Calls back when a file was saved and its bytes have settled. Answers what ends it. */
export function watchFile(file: string, onSaved: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  // The folder is watched: editors replace the file, which ends a watch on the file itself.
  const watcher = watch(dirname(file), (_change, name) => {
    if (name !== basename(file)) return;
    clearTimeout(timer);
    timer = setTimeout(onSaved, SAVE_SETTLES_MS);
  });
  return () => {
    clearTimeout(timer);
    watcher.close();
  };
}
