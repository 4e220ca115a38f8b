import type { Settings } from "../config/settings.ts";
import { sentenceOf } from "../core/errors.ts";
import { limits } from "../engine/limits.ts";
import { LastingWorker } from "./lasting-worker.ts";
import type { FromReader, ReaderOrder, ToReader } from "./messages.ts";
import type { Notice } from "./notice.ts";
import { PendingCalls } from "./pending-calls.ts";
import { receivedFailure } from "./sent-failure.ts";

/** The service's end of the thread that answers questions beside the one that writes. */
export interface ReaderLink {
  /** METER_SERVER_BUSY when it is not answered in time, or the thread died meanwhile. */
  call(name: string, argument: unknown, timeoutMs: number): Promise<unknown>;
  /** The settings that questions are answered by from now on. */
  adopt(settings: Settings): void;
  readonly callsWaiting: number;
  readonly restarts: number;
  close(): Promise<void>;
}

/** Starts the thread; it opens the database with the first question, which must be there by then. */
export function startReader(given: Settings, onNotice: (notice: Notice) => void): ReaderLink {
  let settings = given;
  let isFailing = false;
  const calls = new PendingCalls({
    callsMax: limits.serverCallsMax,
    onWaiting: (isAnyoneWaiting) => reader.hold(isAnyoneWaiting),
  });
  const receive = (message: FromReader): void => {
    switch (message.kind) {
      case "notice":
        return onNotice(message.notice);
      case "answer":
        isFailing = false;
        reader.works();
        return calls.answer(message.call, message.answer);
      case "failure":
        return calls.fail(message.call, receivedFailure(message.failure));
    }
  };
  const failed = (error: unknown): void => {
    if (isFailing) return;
    isFailing = true;
    const text = `The thread that answers questions failed: ${sentenceOf(error)}. It is started again.`;
    onNotice({ code: "METER_WORKER_FAILED", text });
  };
  const reader = new LastingWorker<ToReader, FromReader>({
    file: "reader",
    order: (): ReaderOrder => ({ settings }),
    onMessage: receive,
    onFailed: failed,
    onExit: () => calls.failAll("The thread that answers questions stopped."),
    onRestart: () => undefined,
  });
  return {
    call: (name, argument, timeoutMs) =>
      calls.ask((call, until) => reader.post({ kind: "call", call, name, argument, until }), timeoutMs),
    adopt: (edited) => {
      settings = edited;
      reader.post({ kind: "adopt", settings });
    },
    get callsWaiting() {
      return calls.size;
    },
    get restarts() {
      return reader.restarts;
    },
    close: () => reader.close(),
  };
}
