import { manualClock } from "../../../src/testing/manual-clock.ts";
import { tempStore } from "../../sqlite/temp-store.ts";
import { START } from "../../engine/world.ts";
import { onTestFinished } from "vitest";

import { startServer, type Served } from "../rig.ts";
import { engineBackend } from "./engine-backend.ts";

/** The whole service over a SQLite file, gone after the test, with what a plain caller needs. */
export interface ServedOpenmeter extends Served {
  /** A call with a JSON body, or none. */
  readonly call: (
    method: string,
    path: string,
    options?: { readonly body?: unknown; readonly text?: string; readonly headers?: Record<string, string> },
  ) => Promise<{
    readonly status: number;
    readonly type: string | null;
    readonly headers: Headers;
    readonly text: string;
    readonly json: unknown;
  }>;
}

/** Starts the service for a test of OpenMeter's wire. */
export async function serveOpenmeter(): Promise<ServedOpenmeter> {
  const { store, dispose } = await tempStore();
  onTestFinished(dispose);
  const clock = manualClock(START);
  const served = await startServer({ clock, backend: engineBackend(store, clock) });
  return {
    ...served,
    call: async (method, path, { body, text, headers = {} } = {}) => {
      const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
      const response = await fetch(served.url + path, {
        method,
        headers: { ...(sent === undefined ? {} : { "content-type": "application/json" }), ...headers },
        ...(sent === undefined ? {} : { body: sent }),
      });
      const received = await response.text();
      const type = response.headers.get("content-type");
      const isJson = type?.endsWith("json") === true;
      return {
        status: response.status,
        type,
        headers: response.headers,
        text: received,
        json: isJson ? JSON.parse(received) : null,
      };
    },
  };
}
