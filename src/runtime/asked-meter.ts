import { MeterbookError } from "../core/errors.ts";
import type { IngestReply } from "../engine/intake/accepted.ts";
import { queryMeter } from "../engine/usage/meter-query.ts";
import type { MeterAnswer, MeterQuestion } from "../engine/usage/meter-question.ts";
import type { ReaderHost } from "./host.ts";
import { systemTurn } from "./system.ts";

/** Asks for usage; how far it is can be asked meanwhile where the question has a name. */
export async function askMeter(
  { store, catalog, attribution, progress }: ReaderHost,
  question: MeterQuestion,
): Promise<MeterAnswer> {
  const { progressId } = question;
  try {
    return await queryMeter(store, await catalog(), await attribution(), question, ({ read, total }) => {
      if (progressId !== undefined) progress.note(progressId, read, total);
      // Reading a file waits for nothing: without this no other call would have its turn.
      return systemTurn();
    });
  } finally {
    if (progressId !== undefined) progress.end(progressId);
  }
}

/** Reports of usage are judged already, so only a queue that is full refuses all of them. */
export function refusedUsage({ message }: Extract<IngestReply, { kind: "refused" }>): MeterbookError {
  return new MeterbookError("METER_SERVER_BUSY", message, { remedy: "Make the call again with the same ids." });
}
