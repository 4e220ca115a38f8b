import { parentPort, workerData } from "node:worker_threads";

import { openSqliteStore } from "../sqlite/sqlite-store.ts";
import { readerHost, type ReaderHost } from "./host.ts";
import type { BackendCall, FromReader, ReaderOrder, ToReader } from "./messages.ts";
import { bucketWidthMs } from "./node.ts";
import { runReading } from "./operations.ts";
import { sentFailure } from "./sent-failure.ts";
import { systemClock } from "./system.ts";

/** The thread that answers questions from the database, so that a long one keeps no event waiting. */
const order: ReaderOrder = workerData;
const port = parentPort;
if (port === null) throw new Error("runtime/reader is started by the service, not directly");

let { settings } = order;
let opening: Promise<ReaderHost> | null = null;

const say = (message: FromReader, transfer: readonly ArrayBuffer[] = []): void =>
  port.postMessage(message, [...transfer]);

/** Opened by the first question, and anew after a failure: the writing thread may be making the file still. */
function ready(): Promise<ReaderHost> {
  opening ??= open().catch((error: unknown) => {
    opening = null;
    throw error;
  });
  return opening;
}

async function open(): Promise<ReaderHost> {
  const store = await openSqliteStore({
    path: settings.storage.path,
    bucketMs: bucketWidthMs(settings),
    readOnly: true,
  });
  return readerHost({ settings: () => settings, store });
}

async function answer({ call, name, argument, until }: BackendCall): Promise<void> {
  // Callers that gave up must not keep those waiting who come after them.
  if (systemClock.now() > until) return;
  try {
    const given = await runReading(await ready(), name, argument);
    say({ kind: "answer", call, answer: given }, ownBuffers(given));
  } catch (error) {
    say({ kind: "failure", call, failure: sentFailure(error) });
  }
}

/** Bytes that were made for the answer change hands instead of being copied. */
function ownBuffers(given: unknown): readonly ArrayBuffer[] {
  if (!(given instanceof Uint8Array)) return [];
  const { buffer, byteLength } = given;
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : [];
}

port.on("message", (message: ToReader) => {
  switch (message.kind) {
    case "call":
      void answer(message);
      break;
    case "adopt":
      ({ settings } = message);
      break;
  }
});
