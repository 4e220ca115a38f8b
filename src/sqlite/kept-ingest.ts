import type { IngestKeep, IngestStatus } from "../engine/ports.ts";
import type { Connection } from "./connection.ts";

/** Thrown to undo a batch of which nothing is to be kept. */
class Undone extends Error {
  readonly statuses: readonly IngestStatus[];

  constructor(statuses: readonly IngestStatus[]) {
    super("nothing of the batch is kept");
    this.statuses = statuses;
  }
}

/** Runs the taking of a batch in a transaction of its own, and keeps of it what is wished. */
export function writeKept(
  connection: Connection,
  keep: IngestKeep = "each",
  take: () => readonly IngestStatus[],
): readonly IngestStatus[] {
  try {
    return connection.write(() => {
      const statuses = take();
      if (keep === "none" || (keep === "all" && statuses.includes("conflict"))) throw new Undone(statuses);
      return statuses;
    });
  } catch (error) {
    if (error instanceof Undone) return error.statuses;
    throw error;
  }
}
