import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";

import { onTestFinished } from "vitest";

import { apiRouter, type ApiRouter, type ApiRouterOptions } from "../../src/server/api-router.ts";
import type { Backend } from "../../src/server/backend.ts";
import type { Scope } from "../../src/server/route.ts";
import { systemRandom } from "../../src/runtime/system.ts";
import { manualClock, type ManualClock } from "../../src/testing/manual-clock.ts";
import { START } from "../engine/world.ts";
import { storeBackend } from "./store-backend.ts";

/** A service on loopback, which is gone after the test. */
export interface Served {
  readonly url: string;
  readonly port: number;
  readonly backend: Backend;
  readonly router: ApiRouter;
  readonly clock: ManualClock;
  /** What was logged, sentence and facts. */
  readonly logged: readonly { readonly level: string; readonly facts: object; readonly sentence: string }[];
  /** Makes a key; from then on keys are needed. */
  readonly key: (...scopes: Scope[]) => Promise<string>;
  readonly close: () => Promise<void>;
}

/** Starts the HTTP service over a backend: over one of a store in memory unless another is given. */
export async function startServer(
  options: Partial<ApiRouterOptions> & {
    readonly clock?: ManualClock;
    readonly mount?: (router: ApiRouter) => http.RequestListener;
  } = {},
): Promise<Served> {
  const clock = options.clock ?? manualClock(START);
  const backend = options.backend ?? storeBackend({ clock });
  const logged: { level: string; facts: object; sentence: string }[] = [];
  const log = (level: string) => (facts: object, sentence: string) => void logged.push({ level, facts, sentence });
  const router = apiRouter({
    random: systemRandom,
    logger: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
    version: "0.0.0",
    openOnLoopback: true,
    ...options,
    backend,
    clock,
  });
  const server = http.createServer(options.mount?.(router) ?? ((request, response) => router(request, response)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  onTestFinished(close);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    backend,
    router,
    clock,
    logged,
    key: async (...scopes) => {
      const draft = { name: scopes.join(" "), scopes };
      const { text } = await backend.createKey({ draft, author: "operator:test" });
      // The service learns of it as of another process's: when it looks again.
      clock.advance(1_000);
      return text;
    },
    close,
  };
}
