#!/usr/bin/env node
import { failure } from "./failure.ts";
import { runCommand } from "./program.ts";
import { endOnInterrupt } from "./stop-signals.ts";

const args = process.argv.slice(2);

endOnInterrupt();
// What fails outside of the command's own waiting, in a timer or a watcher, is told as any other failure.
process.on("uncaughtException", (error) => process.exit(failure(error, args)));
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // `meterbook events | head` closes the pipe: that is the reader's wish, not a failure.
  if (error.code === "EPIPE") process.exit(0);
});
await runCommand(args);
