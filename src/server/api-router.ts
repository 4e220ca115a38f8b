import type { IncomingMessage, ServerResponse } from "node:http";

import { ownMember } from "../core/own-member.ts";
import { limits } from "../engine/limits.ts";
import type { Clock, Logger } from "../engine/ports.ts";
import type { MeterTemplate } from "../engine/meters/meter-view.ts";
import { customerTokens } from "../engine/registry/customer-tokens.ts";
import { answerProblem } from "./answer.ts";
import type { Backend } from "./backend.ts";
import { BodyRoom } from "./body-room.ts";
import { takeCall, type CallFacts, type Edge } from "./call.ts";
import { knownKeys } from "./key-ring.ts";
import { busyProblem } from "./problem.ts";
import { openApiRoutes } from "./routes/documents.ts";
import { nativeRoutes } from "./routes/native.ts";
import type { Route } from "./route.ts";
import { routeTable } from "./route-table.ts";
import { RateLimits } from "./rate-limit.ts";

/** One call that was answered, for logs and metrics: nothing of what was sent is in it. */
export interface AnsweredCall extends CallFacts {
  readonly status: number;
  readonly durationMs: number;
}

export interface ApiRouterOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  /** Random bytes: for keys' secrets, tokens and the names of faults. */
  readonly random: (size: number) => Uint8Array;
  readonly logger: Logger;
  /** Stands in the OpenAPI document. */
  readonly version: string;
  /** Whether programs of this machine need no key as long as there never was one. */
  readonly openOnLoopback: boolean;
  /** What stands before every path and is not cut off by whoever mounts the router; empty for nothing. */
  readonly basePath?: string;
  readonly templates?: readonly MeterTemplate[];
  /** Routes beside the native ones. */
  readonly routes?: readonly Route[];
  readonly onAnswer?: (call: AnsweredCall) => void;
}

/** The HTTP service as one handler: for `app.use("/meterbook", router)`, Connect, and plain node:http. */
export interface ApiRouter {
  (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): void;
  /** All routes, as the OpenAPI document has them. */
  readonly routes: readonly Route[];
  /** Takes no further calls, and resolves when those under way are answered. */
  close(): Promise<void>;
}

/** Makes the HTTP service over a backend. Every path below its mount is its own: `next` is never called. */
export function apiRouter(options: ApiRouterOptions): ApiRouter {
  const { backend, clock, random, logger, version, openOnLoopback } = options;
  const basePath = ownMember(options, "basePath") ?? "";
  const { tokenSecret } = backend.settings.server;
  const tokens = customerTokens(tokenSecret === null ? random(32) : Buffer.from(tokenSecret));
  const keys = knownKeys({ backend, clock, logger });
  const templates = ownMember(options, "templates") ?? [];
  const own = [...nativeRoutes({ tokens, templates }), ...(ownMember(options, "routes") ?? [])];
  const routes = [...own, ...openApiRoutes({ routes: own, version })];
  const edge: Edge = {
    backend,
    clock,
    random,
    logger,
    keys,
    rates: new RateLimits(),
    room: new BodyRoom(limits.httpBodiesBytesMax),
    table: routeTable(routes),
    basePath,
    access: {
      keys,
      tokens,
      findPortalToken: (text) => backend.findPortalToken({ text }),
      // An edited configuration is put into force while calls are taken.
      get limits() {
        return backend.settings.server.limits;
      },
      openOnLoopback,
    },
  };
  const onAnswer = ownMember(options, "onAnswer");
  let isClosed = false;
  let underWay = 0;
  let onIdle: (() => void) | null = null;

  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const began = clock.now();
    underWay += 1;
    try {
      const facts = await takeCall(edge, request, response);
      onAnswer?.({ ...facts, status: response.statusCode, durationMs: Math.max(0, clock.now() - began) });
    } finally {
      underWay -= 1;
      if (underWay === 0) onIdle?.();
    }
  };
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    if (isClosed) return answerProblem(request, response, CLOSING);
    if (underWay >= limits.httpCallsMax) return answerProblem(request, response, FULL);
    take(request, response).catch((error: unknown) => {
      // Only a logger or a listener of the host's can fail here; the app goes on.
      logger.error({ error }, "An answer could not be told.");
      response.destroy();
    });
  };
  const close = async (): Promise<void> => {
    isClosed = true;
    if (underWay > 0) await new Promise<void>((resolve) => (onIdle = resolve));
    await keys.flush();
  };
  return Object.assign(handler, { routes, close });
}

const CLOSING = {
  ...busyProblem("The service is stopping; nothing of the call was kept."),
  headers: { "retry-after": "1", connection: "close" },
};
const FULL = busyProblem("Too many calls are under way; nothing of this one was kept.");
