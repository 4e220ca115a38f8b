import type { Settings } from "../config/settings.ts";
import type { Backend } from "../server/backend.ts";
import { backendOf } from "./backend-calls.ts";
import type { Notice } from "./notice.ts";
import { startReader, type ReaderLink } from "./reader-link.ts";
import type { WorkerLink } from "./worker-link.ts";

/** The Backend of the thread that serves HTTP: every call goes to the thread that writes, or to the one that reads. */
export interface RemoteBackend {
  readonly backend: Backend;
  /** Calls that wait for a thread, and threads that took the place of one that died. */
  readonly standing: () => { readonly writing: number; readonly reading: number; readonly restarts: number };
  /** Puts an edited configuration into force. Rejects, and everything is as before, when it cannot be. */
  adopt(settings: Settings, from: number): Promise<void>;
  /** Ends the reading thread; the writing one belongs to who started it. */
  close(): Promise<void>;
}

export interface RemoteBackendOptions {
  readonly settings: Settings;
  readonly link: WorkerLink;
  readonly onNotice: (notice: Notice) => void;
}

/** Nothing hangs: a call is answered, or refused with METER_SERVER_BUSY when its thread is late, dead or has too many. */
export function remoteBackend({ settings: given, link, onNotice }: RemoteBackendOptions): RemoteBackend {
  let settings = given;
  let reader: ReaderLink | null = null;
  let isClosed = false;
  const reading = (): ReaderLink => (reader ??= startReader(settings, onNotice));
  const backend = backendOf(
    () => settings,
    async (name, { thread, timeoutMs }, argument) => {
      if (thread === "writer") return link.call(name, argument, timeoutMs);
      // The writing thread makes the file and brings its layout up to date.
      await link.ready(timeoutMs);
      if (isClosed) return link.call(name, argument, timeoutMs);
      return reading().call(name, argument, timeoutMs);
    },
  );
  return {
    backend,
    standing: () => ({
      writing: link.callsWaiting,
      reading: reader?.callsWaiting ?? 0,
      restarts: link.restarts + (reader?.restarts ?? 0),
    }),
    adopt: async (edited, from) => {
      await link.adopt(edited, from);
      settings = edited;
      reader?.adopt(edited);
    },
    close: async () => {
      isClosed = true;
      await reader?.close();
    },
  };
}
