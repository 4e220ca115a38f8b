import { fileURLToPath } from "node:url";

/** A program that appends events and prints their ids: `node <writerProgram> <journalModule> <root> <plan as JSON>`. */
export const writerProgram = fileURLToPath(new URL("writer-program.js", import.meta.url));

/** The built journal; `npm test` builds before it tests. */
export const journalModule = fileURLToPath(new URL("../../dist/journal/journal.js", import.meta.url));
