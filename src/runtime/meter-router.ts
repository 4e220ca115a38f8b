import type { IncomingMessage, ServerResponse } from "node:http";

import type { RequestMeter } from "../capture/metered-request.ts";
import type { Settings } from "../config/settings.ts";
import { sentenceOf } from "../core/errors.ts";
import type { Logger } from "../engine/ports.ts";
import type { Notice } from "./notice.ts";
import type { Service } from "./http-service.ts";
import type { WorkerLink } from "./worker-link.ts";

/** The HTTP API within an app: for `app.use("/meterbook", handler)`, Connect, and plain node:http. */
export type ApiHandler = (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void) => void;

/** The HTTP API of a running app; its parts are loaded by the first call, so that an app without it pays nothing. */
export interface MeterRouter {
  readonly handler: ApiHandler;
  close(timeoutMs: number): Promise<void>;
}

export interface MeterRouterOptions {
  readonly settings: Settings;
  readonly link: WorkerLink;
  readonly logger: Logger;
  readonly onNotice: (notice: Notice) => void;
  /** Before every path, where nobody who mounts the handler cuts it off. */
  readonly basePath: string;
  /** Whether programs of this machine need no key as long as there never was one. */
  readonly openOnLoopback: boolean;
}

/** A handler whose calls are never metered themselves. */
export function meterRouter(options: MeterRouterOptions): MeterRouter {
  let opening: Promise<Service> | null = null;
  let isClosed = false;
  const open = async (): Promise<Service> => {
    const { openService } = await import("./http-service.ts");
    // The app's log is the app's: it says what it wants of its own calls.
    const quiet = { ...options.logger, info: options.logger.debug.bind(options.logger) };
    return openService({ ...options, logger: quiet });
  };
  const opened = (): Promise<Service> =>
    (opening ??= open().catch((error: unknown) => {
      opening = null;
      throw error;
    }));
  return {
    handler: (request: IncomingMessage & { readonly meter?: RequestMeter }, response) => {
      request.meter?.skip();
      if (isClosed) return refuse(response, "The service was closed.");
      opened().then(
        ({ router }) => router(request, response),
        (error: unknown) => {
          options.onNotice({
            code: "METER_WORKER_FAILED",
            text: `The HTTP API cannot be opened: ${sentenceOf(error)}`,
          });
          refuse(response, "The service cannot be opened; its log says why.");
        },
      );
    },
    close: async (timeoutMs) => {
      isClosed = true;
      await (await opening?.catch(() => null))?.close(timeoutMs);
    },
  };
}

/** The handler of a process whose metering is off. */
export const refuseOff: ApiHandler = (_request, response) => refuse(response, "Metering is off in this process.");

function refuse(response: ServerResponse, detail: string): void {
  const body = { type: "about:blank", title: "Service Unavailable", status: 503, detail, code: "METER_SERVER_BUSY" };
  response.writeHead(503, { "content-type": "application/problem+json", "retry-after": "1", connection: "close" });
  response.end(JSON.stringify(body));
}
